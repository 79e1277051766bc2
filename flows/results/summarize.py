"""From the outputs of a batch's stages to its summary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flows.job import Job, Services
from flows.outputs import ToScore, TrainedBatch, TrainedInterest, TrainedModel
from flows.results.changes import PreviousBatch, changes
from flows.results.model_summary import BaselineSummary, InterestSummary, ModelSummary
from flows.results.summary import BatchSummary, DataSummary, TableSummary
from flows.results.uncertainty import uncertainty_figures
from recobatch.addresses import is_uri
from recobatch.evaluation.standing import Standing
from recobatch.scoring.ratings_delta import RatingsDelta
from recobatch.table import Published

KNOWN = {"all": "all ratings", "train": "train part"}
"""What a published model knows, in words."""


def summarize_training(job: Job, batch: TrainedBatch, before: PreviousBatch | None) -> BatchSummary:
    """The summary of a batch whose models are trained."""
    summary = BatchSummary(
        job.batch_id, batch.champion, data=_trained_data(batch),
        models={name: _trained_model(batch, model) for name, model in batch.models.items()},
        baselines=_baselines(batch), interest=None if batch.interest is None else _interest(batch.interest),
        rankings_note=batch.lists.note, left_out=batch.left_out,
    )  # fmt: skip
    return with_timings(job, replace(summary, change=changes(summary, before)))


def _trained_data(batch: TrainedBatch) -> DataSummary:
    ratings, report, sizes = batch.ratings, batch.ratings.report, batch.parts.report.sizes
    quarantine = report.quarantine_path
    return DataSummary(
        source=ratings.source.name, ratings=report.ratings, users=ratings.n_users, items=ratings.n_items,
        first_user=ratings.first_user, quarantined=report.quarantined, reasons=report.reasons,
        quarantine_path=None if quarantine is None else str(quarantine), fingerprint=report.fingerprint,
        train_rows=sizes["train"], validation_rows=sizes.get("validation"), test_rows=sizes["test"],
        split_method=batch.parts.report.method, sorted_by=batch.parts.report.sorted_by,
        side_tables=ratings.side.reports or None,
    )  # fmt: skip


def _baselines(batch: TrainedBatch) -> dict[str, BaselineSummary]:
    errors, rankings = batch.parts.report.baselines, batch.lists.baselines
    return {
        name: BaselineSummary(errors.get(name), rankings[name].to_dict() if name in rankings else None)
        for name in dict.fromkeys((*errors, *rankings))
    }


def _interest(interest: TrainedInterest) -> InterestSummary:
    report = interest.training.report
    return InterestSummary(
        interest.run.run_id, interest.run.url, report.chosen, report.rank_by, report.rankings, report.seconds
    )  # fmt: skip


def _trained_model(batch: TrainedBatch, model: TrainedModel) -> ModelSummary:
    test, history, lists = model.report.test, model.report.history, batch.lists
    losses = history.to_json()
    return ModelSummary(
        model.run.run_id, model.run.url, loss=losses["loss"], val_loss=losses["val_loss"],
        best_epoch=history.best_epoch, validation_mse=model.report.validation_mse,
        test_mse=test.mse, test_rmse=test.rmse, test_mae=test.mae,
        cold_rows=test.cold_rows, cold_items=test.cold_items, cold_users=test.cold_users,
        train_seconds=history.seconds, compile_seconds=history.compile_seconds,
        trained_on=KNOWN[model.report.trained_on], refit_failed=model.refit_failed,
        rank_by=lists.rank_by[model.name], rankings=lists.rankings(model.name),
        **_spread(batch.standings.get(model.name)),
        **uncertainty_figures(model.calibrated),
    )  # fmt: skip


def _spread(standing: Standing | None) -> dict[str, Any]:
    """Of the error that chose the champion; a single rating has none."""
    if standing is None or standing.se != standing.se:
        return {}
    return {
        "validation_se": standing.se, "validation_behind": standing.behind, "validation_behind_se": standing.behind_se,
    }  # fmt: skip


def summarize_scoring(
    job: Job, champion: ToScore, models: Mapping[str, ToScore], delta: RatingsDelta | None,
    left_out: Mapping[str, str],
) -> BatchSummary:  # fmt: skip
    """The summary of a batch that only scores; its report is that of the champion's training, where it is here."""
    loaded = champion.files.load()
    data = DataSummary(
        ratings=len(loaded.rated.item_index), users=len(loaded.users), items=len(loaded.items),
        first_user=loaded.users.ids[0].as_py(), news=None if delta is None else {**delta.to_dict(), "told": str(delta)},
        scored_only=True,
    )  # fmt: skip
    scored = {name: _scored_model(job, model) for name, model in models.items()}
    report = find_report(job, champion.tags.get("batch_id", ""))
    summary = BatchSummary(job.batch_id, champion.name, data=data, models=scored, report=report, left_out=left_out)
    before = PreviousBatch.published(job.table.current())
    return with_timings(job, replace(summary, change=changes(summary, before)))


def _scored_model(job: Job, model: ToScore) -> ModelSummary:
    mse = model.test_mse
    return ModelSummary(
        model.mlflow_run_id, job.tracker.run_url(model.mlflow_run_id), test_mse=mse,
        test_rmse=None if mse is None else math.sqrt(mse), rank_by=model.rank_by, trained_on=KNOWN[model.trained_on],
    )  # fmt: skip


def summarize_table(services: Services, snapshot: Published) -> TableSummary:
    """The published table."""
    path, timings = services.settings.table.path, services.stages.timings
    fixed = (
        f"{snapshot.location}/{snapshot.main}/model={snapshot.champion}"  # an object store has no link that moves along
    )
    return TableSummary(
        path, fixed if is_uri(path) else f"{path}/current/champion", snapshot.version, snapshot.rows,
        timings.get("score", 0.0), timings.get("publish", 0.0),
    )  # fmt: skip


def summarize_unchanged(services: Services, snapshot: Published, rolled_back: str | None) -> BatchSummary:
    """The summary of the batch that published the current snapshot, for a run that publishes nothing."""
    summary = replace(
        BatchSummary.of_manifest(snapshot.manifest), unchanged=True, rolled_back=rolled_back,
        table=summarize_table(services, snapshot), report=find_report(services, snapshot.version),
    )  # fmt: skip
    return at_end(services, summary)


def find_report(services: Services, batch_id: str) -> str | None:
    """Path of the report of a batch, relative to the project folder; None if it is not here."""
    report = services.report_path(batch_id)
    return str(report.relative_to(services.root)) if report.exists() else None


def with_timings(services: Services, summary: BatchSummary) -> BatchSummary:
    """The summary with the seconds and stages up to now."""
    stages = services.stages
    return replace(summary, seconds=stages.seconds, timings=stages.timings, reused=stages.reused)


def at_end(services: Services, summary: BatchSummary) -> BatchSummary:
    """The summary of a run that ends now."""
    return replace(with_timings(services, summary), delivered_runs=services.delivered_runs)
