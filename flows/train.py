"""From ratings to trained, tracked and registered models; nothing is scored."""

from typing import Any

from flows.job import closing, open_services
from flows.results.changes import PreviousBatch
from flows.results.notification import job_flow
from flows.results.page import show_result
from flows.results.summarize import at_end, summarize_training
from flows.settings.given import GivenSettings
from flows.tasks.ingest import ingest_ratings
from flows.tasks.register import promote, register_models
from flows.tasks.report import refusals_reported, with_report
from flows.tasks.select import check_gate
from flows.tasks.side_tables import with_side_tables
from flows.tasks.split import split_ratings
from flows.tasks.train import train_batch

_RESULT = "training-result"


@job_flow("train-models")
def train_models(
    settings: GivenSettings = GivenSettings(),  # noqa: B008 - it is frozen
    fresh: bool = False,
) -> dict[str, Any]:
    """Ingest to registered models; nothing is scored.

    Args:
        settings: What this run has other than recobatch.toml; leave empty what is to stay.
        fresh: Redo every stage, reuse nothing.
    """
    services = open_services(settings, fresh=fresh)
    with closing(services):
        ratings = with_side_tables(services, ingest_ratings(services))
        parts = split_ratings(services, ratings)
        job = services.begin()
        batch = train_batch(job, ratings, parts)
        summary = summarize_training(job, batch, PreviousBatch.registered(job.tracker))
        with refusals_reported(job, batch, summary, _RESULT, command="train"):
            check_gate(batch, job.settings)
        promote(job, register_models(job, batch), batch)
        outcome = "the models are registered, without a report"
        summary = at_end(job, with_report(job, batch, summary, outcome=outcome, command="train"))
        show_result(job, _RESULT, summary)
    return at_end(job, summary).to_dict()
