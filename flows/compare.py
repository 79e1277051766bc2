"""The models of a batch side by side: at the end of its run, and later as MLflow keeps them."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from recobatch.errors import BadInput

if TYPE_CHECKING:
    from flows.settings import Settings
    from recobatch.tracking import PastRun

_NOTHING = "–"
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
        from flows.cli import echo_json

        echo_json({"batches": batches})
        return
    console = Console(file=sys.stdout, soft_wrap=True, width=None if sys.stdout.isatty() else 120)
    before: Mapping[str, Any] = {}
    for batch in batches:
        console.print(comparison_table(batch, before))
        before = batch


def comparison_table(batch: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> Table:
    """Draw a batch's models and baselines.

    Args:
        batch: A summary as ``--json`` prints it.
        before: The summary of another batch; errors then show the change since.
    """
    started = f", {batch['started']:.16}" if "started" in batch else ""
    table = Table(title=f"Batch {batch['batch_id']}{started}", title_justify="left")
    table.add_column("model")
    for heading in ("test MSE", "RMSE", "MAE", "epochs", "train s", "predictions"):
        table.add_column(heading, justify="right")
    rows = batch.get("table", {}).get("rows", {})
    for name, model in batch["models"].items():
        was = (before or {}).get("models", {}).get(name, {})
        table.add_row(
            name + (" ★" if name == batch["champion"] else ""),
            *(_error(model.get(key), was.get(key)) for key in ("test_mse", "test_rmse", "test_mae")),
            str(model.get("epochs") or len(model.get("loss", ())) or _NOTHING),
            f"{model['train_seconds']:.2f}" if model.get("train_seconds") is not None else _NOTHING,
            f"{rows[name]:,}" if name in rows else _NOTHING,
        )
    for name, baseline in sorted(batch.get("baselines", {}).items()):
        was = (before or {}).get("baselines", {}).get(name, {})
        table.add_row(f"baseline {name}", _error(baseline["test_mse"], was.get("test_mse")), style="dim")
    refused = f"; not published: {batch['gate']}" if batch.get("gate") else ""
    table.caption = f"★ champion{_losers(batch)}{refused}"
    table.caption_justify = "left"
    return table


def _error(value: float | None, was: float | None) -> str:
    if value is None:
        return _NOTHING
    return f"{value:.4f}" if was is None else f"{value:.4f} ({value - was:+.4f})"


def _losers(batch: Mapping[str, Any]) -> str:
    """Models that a mere mean of user and item beats: the reader should be told."""
    bar = batch.get("baselines", {}).get("bias", {}).get("test_mse", float("inf"))
    losers = [name for name, model in batch["models"].items() if (model.get("test_mse") or 0) >= bar]
    return f"; no better than the bias baseline: {', '.join(losers)}" if losers else ""


def _past_batches(settings: "Settings", batch_ids: Sequence[str], newest: int) -> list[list["PastRun"]]:
    from recobatch.tracking import Tracker, has_history  # lazy: the end of a run needs none of it

    runs = []
    if has_history(settings.tracking, Path.cwd()):
        runs = Tracker(settings.tracking, Path.cwd()).past_runs(*dict.fromkeys(batch_ids), newest=newest)
    if not runs:
        raise BadInput(
            f"MLflow at {settings.tracking.resolve_uri(Path.cwd())}: found no batch, required one to compare; run "
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
