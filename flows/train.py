"""From ratings to trained, tracked and registered models; nothing is scored."""

from dataclasses import replace
from typing import Any

from flows.job import closing, open_services
from flows.results.changes import PreviousBatch
from flows.results.notification import job_flow
from flows.results.page import show_result
from flows.results.summarize import at_end, summarize_training
from flows.settings.given import GivenSettings
from flows.tasks.ingest import ingest_ratings
from flows.tasks.models import train_batch
from flows.tasks.promotion import NOT_REGISTERED, decide_promotion, registered_without_alias
from flows.tasks.register import promote, register_models
from flows.tasks.report import refusals_reported, with_report
from flows.tasks.select import check_gate
from flows.tasks.side_tables import with_side_tables
from flows.tasks.split import split_ratings

_RESULT = "training-result"


@job_flow("train-models")
def train_models(
    settings: GivenSettings = GivenSettings(),  # noqa: B008 - it is frozen
    fresh: bool = False,
    no_register: bool = False,
) -> dict[str, Any]:
    """Ingest to registered models; nothing is scored.

    Args:
        settings: What this run has other than recobatch.toml; leave empty what is to stay.
        fresh: Redo every stage, reuse nothing.
        no_register: Leave the registry as it is. Otherwise the models are registered, and the champion is promoted if
            it beats the registry's on the same test ratings.
    """
    services = open_services(settings, fresh=fresh)
    with closing(services):
        ratings = with_side_tables(services, ingest_ratings(services))
        parts = split_ratings(services, ratings)
        job = services.begin()
        batch = train_batch(job, ratings, parts)
        summary = summarize_training(job, batch, PreviousBatch.registered(job.tracker))
        versions = {} if no_register else register_models(job, batch, until_published=False)
        with refusals_reported(job, batch, summary, _RESULT, command="train"), registered_without_alias(versions):
            check_gate(batch, job.settings)
        promotion = NOT_REGISTERED if no_register else decide_promotion(job, batch)
        if promotion.promoted:
            promote(job, versions, batch)
        outcome = f"the models are {'tracked' if no_register else 'registered'}, without a report"
        summary = replace(summary, promotion=promotion)
        summary = at_end(job, with_report(job, batch, summary, outcome=outcome, command="train"))
        show_result(job, _RESULT, summary)
    return at_end(job, summary).to_dict()
