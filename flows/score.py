"""From factors to a published table; on its own, the nightly half of the job. Never imports TensorFlow."""

from dataclasses import replace
from typing import Any

from prefect import flow

from flows.job import Job
from flows.results import summary
from flows.results.assets import materializing, model_asset, ratings_asset, table_asset
from flows.results.changes import PreviousBatch, changes
from flows.results.notification import tell_failure
from flows.results.page import refusals_shown, show_result
from flows.settings.tree import Settings
from flows.tasks.extend import current_ratings, extend_champion
from flows.tasks.publish import publish
from flows.tasks.register import fetch_champion, repair_aliases
from flows.tasks.score import plan_model, score_models, staged
from flows.tasks.select import check_against_published
from flows.tasks.unchanged import published_already
from recobatch.storage.scratch import temporary_folder

_RESULT = "scoring-result"


@flow(
    name="score-pairs",
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
    persist_result=False,
    result_serializer="json",  # Prefect stores what a flow raises, by default as a pickle with all its causes
)
def score_pairs(
    settings: Settings = Settings(),  # noqa: B008 - it is frozen
    force: bool = False,
    fresh: bool = False,
) -> dict[str, Any]:
    """Score every pair with the registered champion and publish.

    Args:
        settings: Every setting of the job; without ``data.ratings`` the champion's own ratings are read again.
        force: Publish even if nothing changed since the published night.
        fresh: Redo every stage, reuse nothing.
    """
    job = Job.open(settings, fresh=fresh)
    with job.table.lock(holder=job.batch_id), job.closing(), temporary_folder(job.work.root, "champion") as folder:
        job.table.clean(keep_unfinished=not fresh)
        repair_aliases(job)
        model, news = fetch_champion(job, folder), None
        ratings = current_ratings(job, model.tags)
        made_of = summary.scored_fingerprint(job.settings, model, ratings)
        if not (force or fresh) and (published := published_already(job, made_of, _RESULT)):
            return published
        if ratings is not None:
            files, news = extend_champion(job, model.files, model.tags, ratings)
            model = replace(model, files=files)
        users, items, _ = plan_model(model, job.settings.score)
        with staged(job, {model.name: model}) as staging:
            result, before = summary.of_scoring(job, model, news), PreviousBatch.published(job.table.current())
            result["change"] = changes(result, before)
            with refusals_shown(job, _RESULT, result):
                entries = score_models(job, {model.name: model}, staging)
                facts = check_against_published(job, model, entries)
            made_from = [model_asset(job.settings)]
            if ratings is not None:
                made_from.append(ratings_asset(ratings.source.uri, job.root))
            snapshot = materializing(publish, table_asset(job.settings, job.root), made_from)(
                job, staging, entries, model.name, expected_rows=users * items,
                titles=ratings and ratings.titles(),
                extra={
                    "batch_id": job.batch_id, "flow": "score-pairs", "inputs": made_of, "facts": facts.to_dict(),
                    "summary": result,
                },
            )  # fmt: skip
        result = summary.closed(job, {**result, "table": summary.of_table(job, snapshot)})
        show_result(job, _RESULT, result)
    return result
