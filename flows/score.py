"""From factors to a published table; on its own, the nightly half of the job. Never imports TensorFlow."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows import summary
from flows.extend import current_ratings, extend_champion
from flows.job import Job
from flows.notification import tell_failure
from flows.settings import Settings
from recobatch.drift import BatchFacts, Gone, Spread, check_drift
from recobatch.gate import check_finite
from recobatch.score import ScoreOptions, ScoringInputs, ShardReport, plan_shards, score_shard
from recobatch.table import ModelEntry, ModelFacts, Published, Staging, published_items, published_users
from recobatch.top import top_shard


@dataclass(frozen=True)
class ToScore:
    """A model whose predictions go into the table."""

    name: str
    mlflow_run_id: str
    inputs: ScoringInputs
    test_mse: float | None
    """None where its training did not tell."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of its version in the registry, where it comes from there."""


@task(name="score shard", cache_policy=NO_CACHE)
def score_one_shard(
    inputs: ScoringInputs, users: slice, out: Path, metadata: Mapping[str, str], options: ScoreOptions
) -> ShardReport:
    """Score a range of users; a pure function of its arguments, wherever it runs."""
    return score_shard(inputs, users, out, metadata=metadata, options=options)


@task(name="top shard", cache_policy=NO_CACHE)
def top_one_shard(inputs: ScoringInputs, users: slice, out: Path, metadata: Mapping[str, str], k: int) -> ShardReport:
    """Pick the best unseen items of a range of users."""
    return top_shard(inputs, users, out, k=k, metadata=metadata)


def score_models(job: Job, models: Mapping[str, ToScore], staging: Staging) -> dict[str, ModelEntry]:
    """Score every pair of every model into the staging folder, shards side by side on the chosen engine."""
    plans = {name: _plan(model, job.settings.score) for name, model in models.items()}
    total = sum(users * items for users, items, _ in plans.values())
    with job.stage("score", total=total) as line, _runner(job.settings) as runner:
        started = {name: _submit(job, runner, models[name], staging, plans[name][2]) for name in models}
        entries = {}
        for name, (shards, tops) in started.items():
            done = []
            for future in shards:
                report = future.result()
                done.append(report)
                line.advance(report.rows, note=f"{report.rows / 1e6:.1f} million of {name}")
            entries[name] = _entry(models[name], done, [future.result() for future in tops])
    job.tell("score", f"{total:,} predictions of {len(models)} models", predictions=total)
    check_finite({name: sum(shard.non_finite for shard in entry.shards) for name, entry in entries.items()})
    return entries


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
    if published is not None and (before := published.manifest.extra.get("facts")):
        users, items = published_users(published), published_items(published)
        gone = Gone(loaded.users.share_missing(users), loaded.items.share_missing(items))
        check_drift(facts, BatchFacts.from_dict(before), gone, job.settings.drift, published.version)
    return facts


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
    told = f"version {snapshot.version} in {job.settings.table.path}"
    job.tell("publish", told, rows=sum(snapshot.rows.values()))
    return snapshot


@flow(name="score-pairs", on_failure=[tell_failure], on_crashed=[tell_failure])
def score_pairs(settings: Settings = Settings(), fresh: bool = False) -> dict[str, Any]:  # noqa: B008 - it is frozen
    """Score every pair with the registered champion and publish.

    Args:
        settings: Every setting of the job; without ``data.ratings`` the champion's own ratings are read again.
        fresh: Redo every stage, reuse nothing.
    """
    job = Job.open(settings, fresh=fresh)
    with job.closing(), job.table.lock(holder=job.batch_id):
        job.table.clean()
        model, news = fetch_champion(job), None
        if (ratings := current_ratings(job, model.tags)) is not None:
            inputs, news = extend_champion(job, model.inputs, model.tags, ratings)
            model = replace(model, inputs=inputs)
        users, items, _ = _plan(model, job.settings.score)
        with staged(job) as staging:
            entries = score_models(job, {model.name: model}, staging)
            facts = check_against_published(job, model, entries)
            snapshot = publish(
                job, staging, entries, model.name, expected_rows=users * items,
                titles=ratings and ratings.titles(),
                extra={"batch_id": job.batch_id, "flow": "score-pairs", "facts": facts.to_dict()},
            )  # fmt: skip
        return summary.of_scoring(job, model, users, items, snapshot, news)


@task(name="fetch champion", retries=2, retry_delay_seconds=[1, 5], cache_policy=NO_CACHE)
def fetch_champion(job: Job) -> ToScore:
    """Get the registered champion's factors, their digests checked."""
    with job.stage("fetch champion"):
        champion = job.tracker.champion()
        folder = job.work.root / f"champion-{champion.run_id}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        files = champion.download(folder)
    name = champion.tags.get("model", "champion")
    job.tell("fetch champion", f"{name}, version {champion.version}")
    test_mse = float(champion.tags["test_mse"]) if "test_mse" in champion.tags else None
    inputs = ScoringInputs(files.factors, files.users, files.items, files.rated)
    return ToScore(name, champion.run_id, inputs, test_mse, champion.tags)


class staged:
    """A staging folder that is gone afterwards unless it was published."""

    def __init__(self, job: Job) -> None:
        self._staging = job.table.stage(job.batch_id)

    def __enter__(self) -> Staging:
        return self._staging

    def __exit__(self, *_: object) -> None:
        self._staging.discard()


def _plan(model: ToScore, options: ScoreOptions) -> tuple[int, int, list[slice]]:
    loaded = model.inputs.load()
    n_users, n_items = len(loaded.users), len(loaded.items)
    return n_users, n_items, plan_shards(n_users, n_items, options)


def _submit(
    job: Job, runner: TaskRunner[Any], model: ToScore, staging: Staging, plan: list[slice]
) -> tuple[list[Any], list[Any]]:
    metadata = {"version": staging.version, "model": model.name, "mlflow_run_id": model.mlflow_run_id}
    options, k = job.settings.score, job.settings.top.k
    shards, tops = [], []
    for number, users in enumerate(plan):
        shared = {"inputs": model.inputs, "users": users, "metadata": metadata}
        out = staging.shard_path(model.name, number)
        shards.append(runner.submit(score_one_shard, parameters={**shared, "out": out, "options": options}))
        if k:
            out = staging.top_path(model.name, number)
            tops.append(runner.submit(top_one_shard, parameters={**shared, "out": out, "k": k}))
    return shards, tops


def _runner(settings: Settings) -> TaskRunner[Any]:
    if settings.engine == "dask":
        from prefect_dask import DaskTaskRunner  # lazy: an optional extra

        return DaskTaskRunner()
    return ThreadPoolTaskRunner(max_workers=settings.score.threads or os.cpu_count() or 1)


def _entry(model: ToScore, shards: list[ShardReport], tops: list[ShardReport]) -> ModelEntry:
    loaded = model.inputs.load()
    return ModelEntry(
        model.name, model.mlflow_run_id, loaded.model.fingerprint, loaded.users.fingerprint,
        loaded.items.fingerprint, tuple(shards), tuple(tops),
    )  # fmt: skip
