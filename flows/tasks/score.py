"""Every shard of every model into one staging folder, on the chosen engine; finished shards are reused."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner

from flows.job import Job
from flows.outputs import ToScore
from flows.tasks.engines import shard_runner
from flows.tasks.fingerprints import predictions_fingerprint
from recobatch.errors import GateRefused
from recobatch.evaluation.gate import check_finite
from recobatch.model_folder import ModelFolder
from recobatch.scoring.predictions import ScoreOptions, ShardReport, plan_shards, score_shard
from recobatch.scoring.ranker import RankBy
from recobatch.scoring.top import top_shard
from recobatch.table import ModelEntry, StagedFiles, Staging


@contextmanager
def staged(job: Job, models: Mapping[str, ToScore], notes: Mapping[str, Any] | None = None) -> Iterator[Staging]:
    """The staging folder of a batch, with the files that an earlier run finished of the very same predictions.

    It outlives a run that fails or is killed, so that the next one can resume; a refusal by a gate removes it.

    Args:
        job: The batch.
        models: Models whose predictions are to be staged.
        notes: What a later run needs to resume the batch.
    """
    key = predictions_fingerprint(job.settings, models)
    staging = None if job.fresh else job.table.resume(key)
    if staging is None:
        staging = job.table.stage(job.batch_id, shaped_by=key, notes=notes)
    job.table.clean(keep=staging)
    try:
        yield staging
    except GateRefused:
        staging.discard()
        raise


def score_models(job: Job, models: Mapping[str, ToScore], staging: Staging) -> dict[str, ModelEntry]:
    """Score every pair of every model into the staging folder, shards side by side on the chosen engine."""
    total = sum(model.files.load().n_pairs for model in models.values())
    with job.stages.timed("score", total=total) as progress, shard_runner(job.settings) as runner:
        started = {name: _submit(job, runner, model, staging) for name, model in models.items()}
        entries = {}
        for name, (shards, tops) in started.items():
            done, reused = [], 0
            for future in shards:
                report, is_reused = future.result()
                done.append(report)
                reused += is_reused
                progress.advance(report.rows, note=f"{report.rows / 1e6:.1f} million of {name}")
            entries[name] = _entry(models[name], done, [future.result()[0] for future in tops])
            if reused:
                job.stages.note_reused(f"score {name}: {reused} of {len(done)} shards")
    job.stages.log("score", f"{total:,} predictions of {' and '.join(models)}", predictions=total)
    check_finite({name: sum(shard.non_finite for shard in entry.shards) for name, entry in entries.items()})
    return entries


@task(name="score shard", cache_policy=NO_CACHE)
def score_one_shard(
    files: StagedFiles, model: ModelFolder, users: slice, out: Path, metadata: Mapping[str, str], options: ScoreOptions
) -> tuple[ShardReport, bool]:
    """Score a range of users unless an earlier run did; depends on its arguments alone, wherever it runs.

    Returns:
        The shard, and whether it was reused.
    """
    return files.once(out, lambda path: score_shard(model, users, path, metadata=metadata, options=options))


@task(name="top shard", cache_policy=NO_CACHE)
def top_one_shard(
    files: StagedFiles, model: ModelFolder, users: slice, out: Path, metadata: Mapping[str, str], k: int,
    rank_by: RankBy,
) -> tuple[ShardReport, bool]:  # fmt: skip
    """Rank the unseen items of a range of users, likewise."""

    def write(path: Path) -> ShardReport:
        return top_shard(model, users, path, k=k, metadata=metadata, interest=model.interest, rank_by=rank_by)

    return files.once(out, write)


def _plan(model: ToScore, options: ScoreOptions) -> list[slice]:
    """The users of each shard."""
    loaded = model.files.load()
    return plan_shards(len(loaded.users), len(loaded.items), options)


def _submit(job: Job, runner: TaskRunner[Any], model: ToScore, staging: Staging) -> tuple[list[Any], list[Any]]:
    metadata = {"version": staging.version, "model": model.name, "mlflow_run_id": model.mlflow_run_id}
    metadata["trained_on"] = model.trained_on
    options, k = job.settings.score, job.settings.top.k
    shards, tops = [], []
    for number, users in enumerate(_plan(model, options)):
        shared = {"files": staging.files, "model": model.files, "users": users, "metadata": metadata}
        out = staging.shard_path(model.name, number)
        shards.append(runner.submit(score_one_shard, parameters={**shared, "out": out, "options": options}))
        if k:
            out = staging.top_path(model.name, number)
            ranked = {"k": k, "rank_by": model.rank_by, "metadata": {**metadata, "rank_by": model.rank_by}}
            tops.append(runner.submit(top_one_shard, parameters={**shared, "out": out, **ranked}))
    return shards, tops


def _entry(model: ToScore, shards: list[ShardReport], tops: list[ShardReport]) -> ModelEntry:
    loaded = model.files.load()
    return ModelEntry(
        model.name, model.mlflow_run_id, loaded.model.fingerprint, loaded.users.fingerprint,
        loaded.items.fingerprint, tuple(shards), tuple(tops),
    )  # fmt: skip
