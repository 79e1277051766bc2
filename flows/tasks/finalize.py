"""The end of a published batch, maybe in a later run: its MLflow runs name its table, and its report is written."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flows.job import Job, Services
from flows.outputs import Parts, Ratings, TrainedBatch, TrainedModel
from flows.results.summarize import summarize_table
from flows.results.summary import BatchSummary
from flows.tasks.refit import find_trained
from flows.tasks.report import with_report
from flows.tasks.resume import find_runs
from flows.tasks.split import split_stage
from flows.tasks.unchanged import Unchanged
from recobatch.table import Published
from recobatch.tracking import TrackedRun


def finalize(job: Job, batch: TrainedBatch, summary: BatchSummary, snapshot: Published) -> BatchSummary:
    """Log the table of every run to MLflow, and report the batch.

    Args:
        job: The batch.
        batch: Its models.
        summary: Its summary.
        snapshot: Its table.

    Returns:
        The summary with the table, and with the report unless the disk had no room for it.
    """
    for name, rows in snapshot.rows.items():
        batch.models[name].run.log_facts({"published_rows": rows})
        batch.models[name].run.set_tags({"table_version": snapshot.version})
    outcome = f"version {snapshot.version} is published, without a report (the next run makes one)"
    return with_report(job, batch, replace(summary, table=summarize_table(job, snapshot)), outcome=outcome)


def finalize_earlier(services: Services, ratings: Ratings, unchanged: Unchanged) -> None:
    """Finalize a batch whose run published and was then killed, or had no room for its report.

    Nothing happens if the report exists, or if an output of the batch's stages or a run of it in MLflow is gone.
    """
    snapshot = unchanged.snapshot
    noted = snapshot.manifest.extra
    split = services.work.find(*split_stage(services.settings, ratings))
    if (
        unchanged.rolled_back
        or split is None
        or not noted.get("models")
        or services.report_path(snapshot.version).exists()
    ):
        return
    parts = Parts.of(split)
    if not (runs := find_runs(services, ratings, parts, noted)):
        return
    job = services.begin(snapshot.version, runs)
    job.stages.log("resume", f"finalizes batch {snapshot.version}, whose run ended after the publish")
    batch = TrainedBatch(ratings, parts, _load_models(services, ratings, parts, runs, noted), snapshot.champion)
    finalize(job, batch, BatchSummary.of_manifest(snapshot.manifest), snapshot)


def _load_models(
    services: Services, ratings: Ratings, parts: Parts, runs: Mapping[str, TrackedRun], noted: Mapping[str, Any]
) -> dict[str, TrainedModel]:
    found = {
        name: find_trained(services, name, ratings, parts, noted["models"][name]["factors"])
        for name in services.settings.model_names
    }
    return {name: TrainedModel.of(name, done, runs[name]) for name, done in found.items() if done is not None}
