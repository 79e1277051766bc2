"""From factors to a published table; on its own, the nightly half of the job. Never imports TensorFlow."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows import summary
from flows.assets import describe_asset, materializing, model_asset, ratings_asset, table_asset
from flows.changes import Before, changes
from flows.extend import current_ratings, extend_champion
from flows.job import Job
from flows.notification import tell_failure
from flows.result_page import refusals_shown, show_result
from flows.settings import Settings
from flows.staging import ToScore, plan_model, score_models, staged
from flows.train import may_pass
from flows.unchanged import published_already
from recobatch.drift import BatchFacts, Gone, Spread, check_drift
from recobatch.errors import BadTable
from recobatch.score import ScoringInputs
from recobatch.shards import LoadedInputs
from recobatch.table import ModelEntry, ModelFacts, Published, Staging, published_items, published_users

_RESULT = "scoring-result"


@task(name="drift gate", cache_policy=NO_CACHE)
def check_against_published(
    job: Job, model: ToScore, entries: Mapping[str, ModelEntry], ratings_spread: Spread | None = None
) -> BatchFacts:
    """Refuse a batch that moved too far from the published one.

    Args:
        job: The batch.
        model: Its champion.
        entries: What was scored.
        ratings_spread: Of the ratings, where they were read.

    Returns:
        What the next batch will be compared with.
    """
    loaded = model.inputs.load()
    predictions = {name: prediction_spread(entry) for name, entry in entries.items()}
    facts = BatchFacts(len(loaded.rated.item_index), ratings_spread, model.name, model.test_mse, predictions)
    published = job.table.current()
    if published is None or not (told := published.manifest.extra.get("facts")):
        return facts
    before = BatchFacts.from_dict(told)
    check_drift(facts, before, _gone_since(published, loaded), job.settings.drift, published.version)
    return facts.after(before)


def _gone_since(published: Published, loaded: LoadedInputs) -> Gone:
    try:
        users, items = published_users(published), published_items(published)
    except BadTable as error:  # a table that cannot be read must not stand in the way of the one that replaces it
        get_run_logger().warning("users and items are not compared with version %s: %s", published.version, error)
        return Gone(0.0, 0.0)
    return Gone(loaded.users.share_missing(users), loaded.items.share_missing(items))


def prediction_spread(entry: ModelEntry) -> Spread:
    """Mean and standard deviation of all predictions of a model."""
    facts = ModelFacts.of(entry)
    return Spread(facts.mean_prediction or 0.0, facts.sd_prediction or 0.0)


@task(name="publish", cache_policy=NO_CACHE)
def publish(
    job: Job, staging: Staging, entries: Mapping[str, ModelEntry], champion: str, *, expected_rows: int,
    extra: Mapping[str, Any], titles: pa.Table | None,
) -> Published:  # fmt: skip
    """Check what was staged against the expected product, and swap the table's pointer."""
    with job.stage("publish"):
        snapshot = staging.publish(entries, champion=champion, expected_rows=expected_rows, extra=extra, titles=titles)
        job.table.retain(job.settings.table.keep)
    describe_asset(version=snapshot.version, champion=snapshot.champion, rows=snapshot.rows, batch_id=job.batch_id)
    told = f"version {snapshot.version} in {job.settings.table.path}"
    job.tell("publish", told, rows=sum(snapshot.rows.values()))
    return snapshot


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
    with job.closing(), job.table.lock(holder=job.batch_id):
        job.table.clean(keep_unfinished=not fresh)
        model, news = fetch_champion(job), None
        ratings = current_ratings(job, model.tags)
        made_of = summary.scored_fingerprint(job.settings, model, ratings)
        if not (force or fresh) and (published := published_already(job, made_of, _RESULT)):
            return published
        if ratings is not None:
            inputs, news = extend_champion(job, model.inputs, model.tags, ratings)
            model = replace(model, inputs=inputs)
        users, items, _ = plan_model(model, job.settings.score)
        with staged(job, {model.name: model}) as staging:
            result, before = summary.of_scoring(job, model, news), Before.published(job.table.current())
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


@task(
    name="fetch champion",
    retries=2,
    retry_delay_seconds=[1, 5],
    retry_condition_fn=may_pass,
    cache_policy=NO_CACHE,
)
def fetch_champion(job: Job) -> ToScore:
    """Get the registered champion's factors, their digests checked."""
    with job.stage("fetch champion"):
        champion = job.tracker.champion()
        folder = job.work.root / f"champion-{champion.run_id}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            files = champion.download(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    name = champion.tags.get("model", "champion")
    job.tell("fetch champion", f"{name}, version {champion.version}")
    test_mse = float(champion.tags["test_mse"]) if "test_mse" in champion.tags else None
    inputs = ScoringInputs(files.factors, files.users, files.items, files.rated)
    return ToScore(name, champion.run_id, inputs, test_mse, champion.tags)
