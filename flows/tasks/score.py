"""Every shard of every model into one staging folder, on the chosen engine; what a dead run finished is used again."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner

from flows.job import CODE, Job
from flows.outputs import ToScore
from flows.settings.tree import Settings
from flows.tasks.engines import shard_runner
from recobatch.errors import GateRefused
from recobatch.evaluation.gate import check_finite
from recobatch.model_folder import ModelFolder
from recobatch.scoring.predictions import ScoreOptions, ShardReport, plan_shards, score_shard
from recobatch.scoring.top import top_shard
from recobatch.storage.workspace import code_fingerprint, fingerprint
from recobatch.table import ModelEntry, Staging, keep_report, kept_report


@contextmanager
def staged(job: Job, models: Mapping[str, ToScore], notes: Mapping[str, Any] | None = None) -> Iterator[Staging]:
    """The staging folder of a batch, with the files that a dead run finished of the very same predictions.

    It outlives a run that dies or fails, for the next one to go on with; what a gate refuses is removed. The batch
    takes the name of the one that it goes on with, for the finished files bear it.

    Args:
        job: The batch.
        models: Whose predictions are to be staged.
        notes: What the next run has to know, should this one die.
    """
    key = _predictions_fingerprint(job.settings, models)
    staging = None if job.fresh else job.table.resume(key)
    if staging is None:
        staging = job.table.stage(job.batch_id, shaped_by=key, notes=notes)
    job.batch_id = staging.version
    job.table.clean(keep=staging)
    try:
        yield staging
    except GateRefused:
        staging.discard()
        raise


def _predictions_fingerprint(settings: Settings, models: Mapping[str, ToScore]) -> str:
    """Sha256 of everything that the bytes of the table's files depend on, but for the version."""
    return fingerprint({
        "models": {name: _shape(model) for name, model in models.items()}, "top": settings.top.k,
        "score": settings.score.model_dump(exclude={"threads"}), "code": code_fingerprint(CODE),
    })  # fmt: skip


def _shape(model: ToScore) -> dict[str, str]:
    return {"mlflow_run_id": model.mlflow_run_id, **model.files.load().fingerprints}


def score_models(job: Job, models: Mapping[str, ToScore], staging: Staging) -> dict[str, ModelEntry]:
    """Score every pair of every model into the staging folder, shards side by side on the chosen engine."""
    plans = {name: plan_model(model, job.settings.score) for name, model in models.items()}
    total = sum(users * items for users, items, _ in plans.values())
    with job.stage("score", total=total) as line, shard_runner(job.settings) as runner:
        started = {name: _submit(job, runner, models[name], staging, plans[name][2]) for name in models}
        entries = {}
        for name, (shards, tops) in started.items():
            done, reused = [], 0
            for future in shards:
                report, was_there = future.result()
                done.append(report)
                reused += was_there
                line.advance(report.rows, note=f"{report.rows / 1e6:.1f} million of {name}")
            entries[name] = _entry(models[name], done, [future.result()[0] for future in tops])
            if reused:
                job.reused.append(f"score {name}: {reused} of {len(done)} shards")
    job.tell("score", f"{total:,} predictions of {' and '.join(models)}", predictions=total)
    check_finite({name: sum(shard.non_finite for shard in entry.shards) for name, entry in entries.items()})
    return entries


@task(name="score shard", cache_policy=NO_CACHE)
def score_one_shard(
    staging: Path, model: ModelFolder, users: slice, out: Path, metadata: Mapping[str, str], options: ScoreOptions
) -> tuple[ShardReport, bool]:
    """Score a range of users unless a run that died had done so; depends on its arguments alone, wherever it runs.

    Returns:
        The shard, and whether it was there already.
    """
    return _once(staging, out, lambda: score_shard(model, users, out, metadata=metadata, options=options))


@task(name="top shard", cache_policy=NO_CACHE)
def top_one_shard(
    staging: Path, model: ModelFolder, users: slice, out: Path, metadata: Mapping[str, str], k: int
) -> tuple[ShardReport, bool]:
    """Pick the best unseen items of a range of users, likewise."""
    return _once(staging, out, lambda: top_shard(model, users, out, k=k, metadata=metadata))


def _once(staging: Path, out: Path, write: Callable[[], ShardReport]) -> tuple[ShardReport, bool]:
    if (report := kept_report(staging, out)) is not None:
        return report, True
    report = write()
    keep_report(staging, report)
    return report, False


def plan_model(model: ToScore, options: ScoreOptions) -> tuple[int, int, list[slice]]:
    """How many users and items a model has, and the users of each shard."""
    loaded = model.files.load()
    n_users, n_items = len(loaded.users), len(loaded.items)
    return n_users, n_items, plan_shards(n_users, n_items, options)


def _submit(
    job: Job, runner: TaskRunner[Any], model: ToScore, staging: Staging, plan: list[slice]
) -> tuple[list[Any], list[Any]]:
    metadata = {"version": staging.version, "model": model.name, "mlflow_run_id": model.mlflow_run_id}
    options, k = job.settings.score, job.settings.top.k
    shards, tops = [], []
    for number, users in enumerate(plan):
        shared = {"staging": staging.path, "model": model.files, "users": users, "metadata": metadata}
        out = staging.shard_path(model.name, number)
        shards.append(runner.submit(score_one_shard, parameters={**shared, "out": out, "options": options}))
        if k:
            out = staging.top_path(model.name, number)
            tops.append(runner.submit(top_one_shard, parameters={**shared, "out": out, "k": k}))
    return shards, tops


def _entry(model: ToScore, shards: list[ShardReport], tops: list[ShardReport]) -> ModelEntry:
    loaded = model.files.load()
    return ModelEntry(
        model.name, model.mlflow_run_id, loaded.model.fingerprint, loaded.users.fingerprint,
        loaded.items.fingerprint, tuple(shards), tuple(tops),
    )  # fmt: skip
