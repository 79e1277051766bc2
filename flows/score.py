"""From the registered champion to a published table. Never imports TensorFlow."""

from dataclasses import replace
from typing import Any

from flows.job import open_services
from flows.results.assets import model_asset, ratings_asset
from flows.results.changes import with_overlap
from flows.results.notification import job_flow
from flows.results.page import refusals_shown, show_result
from flows.results.summarize import at_end, summarize_scoring, summarize_table
from flows.settings.given import GivenSettings
from flows.tasks.extend import current_ratings, extend_models
from flows.tasks.fingerprints import scored_fingerprint
from flows.tasks.lists import compare_lists
from flows.tasks.publish import publish_table
from flows.tasks.registered import fetch_champion, fetch_others, find_others
from flows.tasks.resume import begin_scoring
from flows.tasks.score import expected_rows, score_models, staged
from flows.tasks.select import check_against_published
from flows.tasks.unchanged import find_unchanged, show_unchanged
from flows.tasks.writing import writing_table
from recobatch.storage.scratch import temporary_folder

_RESULT = "scoring-result"


@job_flow("score-pairs")
def score_pairs(
    settings: GivenSettings = GivenSettings(),  # noqa: B008 - it is frozen
    force: bool = False,
    fresh: bool = False,
) -> dict[str, Any]:
    """Score every pair with the registered champion and publish.

    Args:
        settings: What this run has other than recobatch.toml; leave empty what is to stay. Without ``data.ratings``,
            the ratings of the champion are read again.
        force: Publish even if nothing changed since the published batch.
        fresh: Redo every stage, reuse nothing.
    """
    services = open_services(settings, fresh=fresh)
    with writing_table(services), temporary_folder(services.work.root, "champion") as folder:
        champion = fetch_champion(services, folder)
        ratings = current_ratings(services, champion.tags)
        others, missing = find_others(services, champion)
        runs = {champion.name: champion.mlflow_run_id, **{name: other.run_id for name, other in others.items()}}
        inputs = scored_fingerprint(services.settings, champion.name, runs, ratings)
        if not (force or fresh) and (unchanged := find_unchanged(services, inputs)):
            return show_unchanged(services, unchanged, _RESULT).to_dict()
        fetched, damaged = fetch_others(services, others, folder)
        models, delta = {champion.name: champion, **fetched}, None
        if ratings is not None:
            models, delta = extend_models(services, champion, fetched, ratings)
        job, champion = begin_scoring(services, models), models[champion.name]
        with staged(job, models) as staging:
            summary = summarize_scoring(job, champion, models, delta, {**missing, **damaged})
            with refusals_shown(job, _RESULT, summary):
                entries = score_models(job, models, staging)
                summary = with_overlap(summary, overlap := compare_lists(job, champion, entries, staging))
                facts = check_against_published(job, champion, entries, overlap=overlap, missing=summary.left_out)
            made_from = [ratings_asset(ratings.source.uri, job.root)] if ratings else []
            snapshot = publish_table(
                job, staging, entries, champion, expected_rows=expected_rows(job.settings, champion),
                titles=ratings and ratings.titles(), made_from=[model_asset(job.settings), *made_from],
                extra={
                    "batch_id": job.batch_id, "flow": "score-pairs", "inputs": inputs, "facts": facts.to_dict(),
                    "summary": summary.to_dict(),
                },
            )  # fmt: skip
        summary = at_end(job, replace(summary, table=summarize_table(job, snapshot)))
        show_result(job, _RESULT, summary)
    return at_end(job, summary).to_dict()
