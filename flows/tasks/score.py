"""Every shard of every model into one staging folder, on the chosen engine; finished shards are reused."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prefect.task_runners import TaskRunner

from flows.job import Job
from flows.outputs import ToScore
from flows.settings.tree import Settings
from flows.tasks.engines import lost_workers_explained, shard_runner
from flows.tasks.fingerprints import predictions_fingerprint
from flows.tasks.same_build import Expected
from flows.tasks.shards import Shard, Source, grouped, rank_shards, score_shards
from recobatch.errors import GateRefused
from recobatch.evaluation.gate import check_finite
from recobatch.model_folder import ModelFolder
from recobatch.scoring.list_plan import n_listed, plan_lists
from recobatch.scoring.predictions import ShardReport, plan_shards
from recobatch.storage.shared_files import SharedModel
from recobatch.table import ModelEntry, Staging


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
    total = sum(expected_rows(job.settings, model) for model in models.values())
    with (
        job.stages.timed("score", total=total) as progress,
        shard_runner(job.settings) as runner,
        lost_workers_explained(),
    ):
        count = sum(len(_plan(model, job.settings)) for model in models.values())
        count *= 2 if job.settings.top.k and job.settings.score.pairs == "all" else 1
        started = {name: _submit(job, runner, model, staging, count) for name, model in models.items()}
        entries = {}
        for name, (shards, tops) in started.items():
            done, reused = [], 0
            for report, is_reused in (each for future in shards or tops for each in future.result()):
                done.append(report)
                reused += is_reused
                progress.advance(report.rows, note=f"{report.rows / 1e6:.1f} million of {name}")
            lists = [top for future in tops for top, _ in future.result()]
            entries[name] = _entry(models[name], done if shards else [], lists)
            if reused:
                job.stages.note_reused(f"score {name}: {reused} of {len(done)} shards")
    job.stages.log("score", f"{total:,} predictions of {' and '.join(models)}", predictions=total)
    check_finite({name: sum(shard.non_finite for shard in entry.published) for name, entry in entries.items()})
    return entries


def expected_rows(settings: Settings, model: ToScore) -> int:
    """Rows of a model that are published: one for every pair, or those of the lists alone."""
    loaded = model.files.load()
    return loaded.n_pairs if settings.score.pairs == "all" else n_listed(loaded.rated, settings.top.k)


def _plan(model: ToScore, settings: Settings) -> list[slice]:
    """The users of each shard."""
    loaded, options = model.files.load(), settings.score
    sizes = len(loaded.users), len(loaded.items)
    return plan_shards(*sizes, options) if options.pairs == "all" else plan_lists(*sizes, settings.top.k, options)


def _submit(
    job: Job, runner: TaskRunner[Any], model: ToScore, staging: Staging, total: int
) -> tuple[list[Any], list[Any]]:
    """Futures of the groups of a model's shards, of predictions and of lists; ``total`` is of the whole run."""
    metadata = {"version": staging.version, "model": model.name, "mlflow_run_id": model.mlflow_run_id}
    source = Source(
        staging.files, _as_workers_read_it(job, model), {**metadata, "trained_on": model.trained_on},
        Expected.of(job.settings) if job.settings.engine == "dask" else None,
    )  # fmt: skip
    options, k = job.settings.score, job.settings.top.k
    plan = _plan(model, job.settings)
    named = enumerate(plan if options.pairs == "all" else [])
    shards = [Shard(users, staging.shard_path(model.name, number)) for number, users in named]
    scored = [
        runner.submit(score_shards, parameters={"source": source, "shards": group, "options": options})
        for group in grouped(shards, total)
    ]
    if not k:
        return scored, []
    shards = [Shard(users, staging.top_path(model.name, number)) for number, users in enumerate(plan)]
    ranked = [
        runner.submit(rank_shards, parameters={"source": source, "shards": group, "k": k, "rank_by": model.rank_by})
        for group in grouped(shards, total)
    ]
    return scored, ranked


def _as_workers_read_it(job: Job, model: ToScore) -> ModelFolder | SharedModel:
    """The model's folder, or where workers without a view of it find its files."""
    if job.settings.engine != "dask" or (shared := job.work.shared()) is None:
        return model.files
    return SharedModel.upload(shared, model.files)


def _entry(model: ToScore, shards: list[ShardReport], tops: list[ShardReport]) -> ModelEntry:
    loaded = model.files.load()
    return ModelEntry(
        model.name, model.mlflow_run_id, loaded.model.fingerprint, loaded.users.fingerprint,
        loaded.items.fingerprint, tuple(shards), tuple(tops),
    )  # fmt: skip
