"""The whole job as one readable flow."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from prefect import flow

from flows.job import Job
from flows.outputs import Ratings, ToScore, TrainedModel
from flows.results import summary
from flows.results.assets import materializing, model_asset, ratings_asset, table_asset
from flows.results.changes import PreviousBatch, changes
from flows.results.notification import tell_failure
from flows.results.page import show_result
from flows.settings.tree import Settings
from flows.tasks.finalize import end_in_its_place, end_published, promote_published
from flows.tasks.ingest import ingest_ratings
from flows.tasks.publish import publish
from flows.tasks.register import move_aliases, register_models, repair_aliases
from flows.tasks.report import report_batch, report_what_stands
from flows.tasks.resume import notes, take_up
from flows.tasks.score import score_models, staged
from flows.tasks.select import check_against_published, check_gate, compare_models
from flows.tasks.split import split_ratings
from flows.tasks.train import train_all
from flows.tasks.unchanged import published_already
from flows.train import train_models
from recobatch.errors import GateRefused

__all__ = ["batch_scoring", "train_models"]

_RESULT = "batch-result"


@flow(
    name="batch-scoring",
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
    persist_result=False,
    result_serializer="json",  # Prefect stores what a flow raises, by default as a pickle with all its causes
)
def batch_scoring(
    settings: Settings = Settings(),  # noqa: B008 - it is frozen
    force: bool = False,
    fresh: bool = False,
) -> dict[str, Any]:
    """Ingest, train, compare, score, publish.

    Args:
        settings: Every setting of the job.
        force: Publish even if nothing changed since the published batch.
        fresh: Redo every stage, reuse nothing.
    """
    job = Job.open(settings, fresh=fresh)
    with job.table.lock(holder=job.batch_id), job.closing():
        job.table.clean(keep_unfinished=not fresh)
        repair_aliases(job)
        ratings = ingest_ratings(job)
        inputs = summary.inputs_fingerprint(job.settings, ratings)
        if not (force or fresh) and (
            published := published_already(job, inputs, _RESULT, partial(end_in_its_place, job, ratings))
        ):
            return published
        parts = split_ratings(job, ratings)
        trained = train_all(job, ratings, parts, take_up(job, ratings, parts))
        champion = compare_models(job, trained)
        titles = ratings.titles()
        before = PreviousBatch.published(job.table.current())
        made_from = [ratings_asset(ratings.source.uri, job.root)]
        report = partial(report_batch, job, ratings, parts, trained, champion, titles=titles)
        try:
            check_gate(job, trained[champion], parts)
            to_score = _to_score(job, trained, champion, ratings)
            with staged(job, to_score, notes(job, ratings, trained)) as staging:
                entries = score_models(job, to_score, staging)
                facts = check_against_published(job, to_score[champion], entries, parts.ratings_spread)
                result = summary.of_training(job, ratings, parts, trained, champion)
                versions = register_models(job, trained, champion, ratings)
                snapshot = materializing(publish, table_asset(job.settings, job.root), made_from)(
                    job, staging, entries, champion, expected_rows=ratings.n_pairs, titles=titles,
                    extra={**notes(job, ratings, trained), "summary": result, "facts": facts.to_dict()},
                )  # fmt: skip
        except GateRefused as refusal:
            result = summary.of_training(job, ratings, parts, trained, champion)
            result |= report_what_stands(
                job, partial(report, table=None, gate=str(refusal)), "the gate refused, without a report"
            )
            result["change"] = changes(result, before)
            show_result(job, _RESULT, result, refused=str(refusal))
            raise
        promote = materializing(move_aliases, model_asset(job.settings), made_from)
        promote_published(snapshot.version, partial(promote, job, versions, trained[champion]))
        result["table"] = summary.of_table(job, snapshot)
        result |= end_published(job, ratings, parts, trained, result, snapshot)
        result["change"] = changes(result, before)
        show_result(job, _RESULT, summary.closed(job, result))
    return summary.closed(job, result)


def _to_score(job: Job, trained: Mapping[str, TrainedModel], champion: str, ratings: Ratings) -> dict[str, ToScore]:
    wanted = trained if job.settings.score.models == "all" else {champion: trained[champion]}
    return {name: ToScore(name, model.run.run_id, model.files, model.test["mse"]) for name, model in wanted.items()}
