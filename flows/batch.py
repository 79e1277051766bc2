"""The whole job: from ratings to a published table."""

from typing import Any

from flows.job import open_services
from flows.results.assets import ratings_asset
from flows.results.changes import PreviousBatch, with_overlap
from flows.results.notification import job_flow
from flows.results.page import show_result
from flows.results.summarize import at_end, summarize_training, with_timings
from flows.settings.given import GivenSettings
from flows.tasks.finalize import finalize, finalize_earlier
from flows.tasks.fingerprints import inputs_fingerprint, scored_fingerprint
from flows.tasks.ingest import ingest_ratings
from flows.tasks.left_out import leave_out_failing
from flows.tasks.lists import compare_lists
from flows.tasks.models import train_batch
from flows.tasks.publish import publish_table
from flows.tasks.register import promote_published, register_models
from flows.tasks.report import refusals_reported
from flows.tasks.resume import begin_batch, notes
from flows.tasks.score import expected_rows, score_models, staged
from flows.tasks.select import check_against_published, check_gate
from flows.tasks.side_tables import with_side_tables
from flows.tasks.split import split_ratings
from flows.tasks.unchanged import find_unchanged, show_unchanged
from flows.tasks.writing import writing_table

_RESULT = "batch-result"


@job_flow("batch-scoring")
def batch_scoring(
    settings: GivenSettings = GivenSettings(),  # noqa: B008 - it is frozen
    force: bool = False,
    fresh: bool = False,
) -> dict[str, Any]:
    """Ingest, train, compare, score, publish.

    Args:
        settings: What this run has other than recobatch.toml; leave empty what is to stay.
        force: Publish even if nothing changed since the published batch.
        fresh: Redo every stage, reuse nothing.
    """
    services = open_services(settings, fresh=fresh)
    with writing_table(services):
        ratings = with_side_tables(services, ingest_ratings(services))
        inputs = inputs_fingerprint(services.settings, ratings)
        if not (force or fresh) and (unchanged := find_unchanged(services, inputs)):
            finalize_earlier(services, ratings, unchanged)
            return show_unchanged(services, unchanged, _RESULT).to_dict()
        parts = split_ratings(services, ratings)
        job = begin_batch(services, inputs, ratings, parts)
        batch = leave_out_failing(job, train_batch(job, ratings, parts))
        summary = summarize_training(job, batch, PreviousBatch.published(job.table.current()))
        with refusals_reported(job, batch, summary, _RESULT):
            check_gate(batch, job.settings)
            models = batch.to_score(job.settings.score.models)
            with staged(job, models, notes(inputs, batch)) as staging:
                entries = score_models(job, models, staging)
                champion = models[batch.champion]
                summary = with_overlap(summary, overlap := compare_lists(job, champion, entries, staging))
                facts = check_against_published(
                    job, champion, entries, parts.report.ratings_spread, overlap, batch.left_out
                )
                versions = register_models(job, batch, until_published=True)
                runs = {name: model.mlflow_run_id for name, model in models.items()}
                kept = {
                    "summary": with_timings(job, summary).to_dict(), "facts": facts.to_dict(),
                    "scored": scored_fingerprint(job.settings, champion.name, runs, ratings),
                }  # fmt: skip
                snapshot = publish_table(
                    job, staging, entries, champion, expected_rows=expected_rows(job.settings, champion),
                    titles=ratings.titles(), extra=notes(inputs, batch) | kept,
                    made_from=[ratings_asset(ratings.source.uri, job.root)],
                )  # fmt: skip
        promote_published(job, versions, batch)
        summary = at_end(job, finalize(job, batch, summary, snapshot))
        show_result(job, _RESULT, summary)
    return at_end(job, summary).to_dict()
