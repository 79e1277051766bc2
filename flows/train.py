"""From ratings to trained, tracked and compared models; on its own, the weekly half of the job."""

from functools import partial
from typing import Any

from prefect import flow

from flows.job import Job
from flows.results import summary
from flows.results.assets import materializing, model_asset, ratings_asset
from flows.results.changes import PreviousBatch, changes
from flows.results.notification import tell_failure
from flows.results.page import show_result
from flows.settings.tree import Settings
from flows.tasks.ingest import ingest_ratings
from flows.tasks.register import move_aliases, register_models
from flows.tasks.report import report_batch, report_what_stands
from flows.tasks.select import check_gate, compare_models
from flows.tasks.split import split_ratings
from flows.tasks.train import train_all
from recobatch.errors import GateRefused

_RESULT = "training-result"


@flow(
    name="train-models",
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
    persist_result=False,
    result_serializer="json",  # Prefect stores what a flow raises, by default as a pickle with all its causes
)
def train_models(settings: Settings = Settings(), fresh: bool = False) -> dict[str, Any]:  # noqa: B008 - it is frozen
    """Ingest to registered models; nothing is scored."""
    job = Job.open(settings, fresh=fresh)
    with job.closing():
        ratings = ingest_ratings(job)
        parts = split_ratings(job, ratings)
        trained = train_all(job, ratings, parts)
        champion = compare_models(job, trained)
        before = PreviousBatch.registered(job.tracker)
        result = summary.of_training(job, ratings, parts, trained, champion)
        result["change"] = changes(result, before)
        report = partial(
            report_batch, job, ratings, parts, trained, champion, titles=ratings.titles(), table=None,
            command="train",
        )  # fmt: skip
        try:
            check_gate(job, trained[champion], parts)
        except GateRefused as refusal:
            result |= report_what_stands(job, partial(report, gate=str(refusal)), "the gate refused, without a report")
            show_result(job, _RESULT, summary.closed(job, result), refused=str(refusal))
            raise
        made_from = [ratings_asset(ratings.source.uri, job.root)]
        versions = register_models(job, trained, champion, ratings)
        materializing(move_aliases, model_asset(job.settings), made_from)(job, versions, trained[champion])
        result |= report_what_stands(job, report, "the models are registered, without a report")
        result = summary.closed(job, result)
        show_result(job, _RESULT, result)
    return result
