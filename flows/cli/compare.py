"""Earlier batches as MLflow keeps them, side by side: the command ``compare``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flows.cli.output import echo_json
from flows.results.comparison import Comparison, comparison_table
from recobatch.errors import BadInput

if TYPE_CHECKING:
    from flows.settings.tree import Settings
    from recobatch.tracking import PastRun

_FIGURES = ("test_mse", "test_rmse", "test_mae", "validation_mse", "train_seconds")
_COUNTS = ("best_epoch", "epochs")


def print_batches(settings: "Settings", batch_ids: Sequence[str], *, newest: int, as_json: bool) -> None:
    """Print the models of earlier batches: no Prefect, no TensorFlow.

    Args:
        settings: Where MLflow is.
        batch_ids: The batches, in the order in which they are to be shown.
        newest: Without ids: how many of the newest, the oldest of them first.
        as_json: Whether to print one JSON object instead of tables.

    Raises:
        BadInput: If there is no such batch, or none at all.
        RecobatchError: If MLflow does not answer.
    """
    batches = [_summary(runs) for runs in _past_batches(settings, batch_ids, newest)]
    if as_json:
        echo_json({"batches": batches})
        return
    console = Console(file=sys.stdout, soft_wrap=True, width=None if sys.stdout.isatty() else 120)
    before = None
    for batch in map(Comparison.of_tracked, batches):
        console.print(comparison_table(batch, before))
        before = batch


def _past_batches(settings: "Settings", batch_ids: Sequence[str], newest: int) -> list[list["PastRun"]]:
    from recobatch.tracking import Tracker, has_history  # lazy: the end of a run needs none of it

    runs = []
    if has_history(settings.tracking, Path.cwd()):
        runs = Tracker(settings.tracking, Path.cwd()).past_runs(*dict.fromkeys(batch_ids), newest=newest)
    if not runs:
        raise BadInput(
            f"MLflow at {settings.tracking.resolve_uri(Path.cwd())}: found no batch, expected one to compare; run "
            f"recobatch run first, or set MLFLOW_TRACKING_URI"
        )
    if not batch_ids:
        runs.reverse()
    batches: dict[str, list[PastRun]] = {}
    for run in runs:
        batches.setdefault(run.batch_id, []).append(run)
    return [sorted(batch, key=lambda run: run.started) for batch in batches.values()]


def _summary(runs: Sequence["PastRun"]) -> dict[str, Any]:
    """A batch's summary as far as MLflow keeps it, in the shape of ``--json``."""
    first = runs[0]
    baselines = {
        key.removeprefix("baseline_").removesuffix("_mse"): {"test_mse": value}
        for key, value in first.metrics.items()
        if key.startswith("baseline_")
    }
    published = {run.model: int(run.metrics["published_rows"]) for run in runs if "published_rows" in run.metrics}
    versions = {run.tags["table_version"] for run in runs if "table_version" in run.tags}
    return {
        "batch_id": first.batch_id, "started": f"{first.started:%Y-%m-%d %H:%M:%S} UTC",
        "champion": first.tags.get("champion"), "gate": first.tags.get("gate"),
        "models": {run.model: _model(run) for run in runs}, "baselines": baselines,
        **({"table": {"version": versions.pop(), "rows": published}} if versions else {}),
    }  # fmt: skip


def _model(run: "PastRun") -> dict[str, Any]:
    about = {"mlflow_run_id": run.run_id, "mlflow_url": run.url, "status": run.status}
    counts = {key: int(run.metrics[key]) if key in run.metrics else None for key in _COUNTS}
    return about | {key: run.metrics.get(key) for key in _FIGURES} | counts
