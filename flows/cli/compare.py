"""Earlier batches as MLflow keeps them, side by side: the command ``compare``."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flows.cli.output import echo_json
from flows.results.choice import standing_remark
from flows.results.comparison import Comparison, comparison_table
from flows.settings.tree import INTEREST
from recobatch.addresses import without_secrets
from recobatch.errors import BadInput

if TYPE_CHECKING:
    from flows.settings.tree import Settings
    from recobatch.tracking import PastRun

_FIGURES = (
    "test_mse", "test_rmse", "test_mae", "validation_mse", "coverage_90", "interval_width", "train_seconds",
)  # fmt: skip
_COUNTS = ("best_epoch", "epochs")
_ENDED = {
    "KILLED": "was killed",
    "FAILED": "failed",
    "RUNNING": "is still running, or its process ended without a word",
}
"""MLflow's status of a run → what it says of its batch, the worst first."""
_NO_SETTINGS = ("model_name", "dataset.fingerprint")


def print_batches(settings: "Settings", batch_ids: Sequence[str], *, newest: int, as_json: bool) -> None:
    """Print the models of earlier batches: no Prefect, no TensorFlow.

    Changes are those from the nearest batch before with the same ratings, by the fingerprint of the data set: errors
    on other ratings do not compare.

    Args:
        settings: Where MLflow is.
        batch_ids: The batches, in the order in which they are to be shown.
        newest: Without ids: how many of the newest, the oldest of them first.
        as_json: Whether to print one JSON object instead of tables.

    Raises:
        BadInput: If there is no such batch, or none at all.
        RecobatchError: If MLflow does not answer.
    """
    batches = _with_changes([_summary(runs) for runs in _past_batches(settings, batch_ids, newest)])
    if as_json:
        echo_json({"batches": [{key: batch[key] for key in batch if key != "settings"} for batch in batches]})
        return
    console = Console(file=sys.stdout, soft_wrap=True, width=None if sys.stdout.isatty() else 190)
    known = {batch["batch_id"]: Comparison.of_tracked(batch) for batch in batches}
    for place, batch in enumerate(batches):
        console.print(comparison_table(known[batch["batch_id"]], known.get(batch["compared_with"])))
        for line in _remarks(batch, batches[place - 1]["batch_id"] if place else None):
            console.print(line, highlight=False, markup=False)


def _with_changes(batches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each batch with the nearest batch before it that has the same data, and the settings that differ from it."""
    for place, batch in enumerate(batches):
        earlier = [each for each in reversed(batches[:place]) if _has_data_of(each, batch)]
        before = earlier[0] if earlier else None
        batch["compared_with"] = before and before["batch_id"]
        batch["settings_changed"] = _changed(before["settings"], batch["settings"]) if before else {}
    return list(batches)


def _has_data_of(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one["dataset_fingerprint"] is not None and one["dataset_fingerprint"] == other["dataset_fingerprint"]


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, dict[str, str | None]]:
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return {key: {"before": before.get(key), "now": now.get(key)} for key in keys}


def _remarks(batch: Mapping[str, Any], previous: str | None) -> Iterator[str]:
    """What the table of a batch does not say: what chose the champion, how it ended, and what else differs."""
    for name, model in batch["models"].items():
        if "left_out" in model:
            yield f"{name} is left out: {model['left_out']}."
    errors = {name: model["validation"] for name, model in batch["models"].items() if "validation" in model}
    if batch["champion"] in errors:
        yield standing_remark(batch["champion"], errors)
    if batch["status"] in _ENDED:
        yield f"! This batch {_ENDED[batch['status']]}: its figures may be incomplete."
    before = batch["compared_with"]
    if previous is not None and before != previous:
        beside = f"; changes are against batch {before}" if before else "; no changes are shown"
        yield f"Other ratings than batch {previous}{beside}."
    if changed := batch["settings_changed"]:
        told = ", ".join(f"{key} {each['before'] or '–'} → {each['now'] or '–'}" for key, each in changed.items())
        yield f"Settings that differ from batch {before}: {told}."
    elif before:
        yield f"Same settings as batch {before}."


def _past_batches(settings: "Settings", batch_ids: Sequence[str], newest: int) -> list[list["PastRun"]]:
    from recobatch.tracking import Tracker, has_history, require_answer  # lazy: the end of a run needs none of it

    runs = []
    if has_history(settings.tracking, Path.cwd()):
        require_answer(settings.tracking, Path.cwd())
        runs = Tracker(settings.tracking, Path.cwd()).past_runs(*dict.fromkeys(batch_ids), newest=newest)
    if not runs:
        shown = without_secrets(settings.tracking.resolve_uri(Path.cwd()))
        raise BadInput(
            f"MLflow at {shown}: found no batch, expected one to compare; run recobatch run first, "
            f"or set MLFLOW_TRACKING_URI"
        )
    if not batch_ids:
        runs.reverse()
    batches: dict[str, list[PastRun]] = {}
    for run in runs:
        batches.setdefault(run.batch_id, []).append(run)
    return [sorted(batch, key=lambda run: run.started) for batch in batches.values()]


def _summary(runs: Sequence["PastRun"]) -> dict[str, Any]:
    """A batch's summary as far as MLflow keeps it, in the shape of ``--json``."""
    interest, runs = [run for run in runs if run.model == INTEREST], [run for run in runs if run.model != INTEREST]
    runs = runs or interest  # a batch that ended before its first model
    counted = [run for run in runs if run.status != "FAILED" or "left_out" not in run.tags] or runs
    first = counted[0]
    published = {run.model: int(run.metrics["published_rows"]) for run in runs if "published_rows" in run.metrics}
    versions = {run.tags["table_version"] for run in runs if "table_version" in run.tags}
    statuses = [run.status for run in (*counted, *interest)]
    return {
        "status": next((status for status in _ENDED if status in statuses), first.status),
        "dataset_fingerprint": first.params.get("dataset.fingerprint"),
        "settings": {key: value for key, value in first.params.items() if key not in _NO_SETTINGS},
        "batch_id": first.batch_id, "started": f"{first.started:%Y-%m-%d %H:%M:%S} UTC",
        "champion": first.tags.get("champion"), "gate": first.tags.get("gate"),
        "models": {run.model: _model(run) for run in runs}, "baselines": _baselines(first.metrics),
        **({"table": {"version": versions.pop(), "rows": published}} if versions else {}),
    }  # fmt: skip


def _model(run: "PastRun") -> dict[str, Any]:
    about = {"mlflow_run_id": run.run_id, "mlflow_url": run.url, "status": run.status}
    counts = {key: int(run.metrics[key]) if key in run.metrics else None for key in _COUNTS}
    rankings = _rankings(run.metrics)
    figures = {key: run.metrics.get(key) for key in _FIGURES}
    tags = {key: run.tags[key] for key in ("validation", "left_out") if key in run.tags}
    return about | figures | counts | tags | ({"rankings": rankings} if rankings else {})


def _baselines(metrics: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Name → error and rankings, from the metrics of a model's run."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in metrics.items():
        if (match := re.fullmatch(r"baseline_(\w+)_mse", key)) is not None:
            found.setdefault(match[1], {})["test_mse"] = value
        elif (match := re.fullmatch(r"baseline_(\w+?)_(\w+_at_\d+)", key)) is not None:
            found.setdefault(match[1], {}).setdefault("rankings", {})[match[2]] = value
    return found


def _rankings(metrics: Mapping[str, float]) -> dict[str, float]:
    """The figures of the lists as they were published."""
    return {key: value for key, value in metrics.items() if re.fullmatch(r"(ndcg|recall|map|hit_rate)_at_\d+", key)}
