"""The end of a published batch: its runs in MLflow name its table, and its report is written, be it by a later run."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from prefect.logging import get_run_logger

from flows.job import Job
from flows.outputs import Parts, Ratings, TrainedModel
from flows.results import summary
from flows.tasks.report import published_table, report_batch, report_what_stands
from flows.tasks.resume import runs_of
from flows.tasks.split import split_stage
from flows.tasks.train import training_stage
from recobatch.table import Published


def end_published(
    job: Job, ratings: Ratings, parts: Parts, trained: Mapping[str, TrainedModel], result: Mapping[str, Any],
    snapshot: Published,
) -> dict[str, str]:  # fmt: skip
    """Tell MLflow where the predictions of every run are, and report the batch.

    Args:
        job: The batch.
        ratings: What it took in.
        parts: Their split.
        trained: Its models, by name.
        result: Its summary, with the table.
        snapshot: What it published.

    Returns:
        Where the report lies, for the summary; nothing if the disk had no room for it.
    """
    for name, rows in snapshot.rows.items():
        trained[name].run.log_metrics({"published_rows": rows})
        trained[name].run.set_tags({"table_version": snapshot.version})
    report = partial(
        report_batch, job, ratings, parts, trained, result["champion"], titles=ratings.titles(),
        table=published_table(result),
    )  # fmt: skip
    outcome = f"version {snapshot.version} is published, without a report (the next run makes one)"
    return report_what_stands(job, report, outcome)


def promote_published(version: str, move: Callable[[], None]) -> None:
    """Move the registry's aliases to what was just published; should that fail, the next run repairs it."""
    try:
        move()
    except Exception as error:  # noqa: BLE001 - what is published stands
        get_run_logger().warning(
            "version %s is published, but the registry's aliases were not moved (the next run moves them): %s",
            version, error,
        )  # fmt: skip


def end_in_its_place(job: Job, ratings: Ratings, snapshot: Published) -> None:
    """End a batch that published and then died, or had no room for its report: this run is that batch from here on.

    Nothing happens where the report lies about, or an output of the batch's stages or a run of it in MLflow is gone.
    """
    noted, settings = snapshot.manifest.extra.get("models", {}), job.settings
    split = job.work.find(*split_stage(settings, ratings))
    if split is None or not noted or job.report_path(snapshot.version).exists():
        return
    parts = Parts.of(split)
    runs = runs_of(job, parts, noted)
    if not runs:
        return
    job.batch_id = snapshot.version
    job.runs += runs.values()
    job.tell("resume", f"ends batch {snapshot.version}, which had published and came no further")
    stages = {name: job.work.find(*training_stage(settings, name, parts)) for name in runs}
    trained = {name: TrainedModel.of(name, done, runs[name]) for name, done in stages.items() if done is not None}
    result = snapshot.manifest.extra["summary"] | {"table": summary.of_table(job, snapshot)}
    end_published(job, ratings, parts, trained, result, snapshot)
