"""The registry: every model of a batch becomes a version, and aliases name the champion and the challenger."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Job, Services
from flows.outputs import TrainedBatch, TrainedModel
from flows.results.assets import describe_asset, materializing, model_asset, ratings_asset
from flows.results.version_note import version_note
from flows.tasks.registered import table_tag
from recobatch.errors import BadInput
from recobatch.tracking import Alias, RegisteredVersion

_NOTE = Path(".recobatch", "aliases-moved")
"""File with the last version whose aliases were moved."""
Versions = Mapping[Alias, RegisteredVersion]


@task(name="register models", cache_policy=NO_CACHE)
def register_models(job: Job, batch: TrainedBatch, *, until_published: bool) -> dict[Alias, RegisteredVersion]:
    """Make every model of the batch a version in the registry.

    Args:
        job: The batch.
        batch: Its models.
        until_published: Note the aliases with the versions, for the case that the run ends right after its publish.

    Returns:
        The versions for ``move_aliases``: of the champion, and of the best other model.
    """
    with job.stages.timed("register"):
        others = sorted((m for m in batch.models.values() if m.name != batch.champion), key=_test_mse)
        aliases: dict[str, Alias] = {batch.champion: "champion", **{model.name: "challenger" for model in others[:1]}}
        versions: dict[Alias, RegisteredVersion] = {}
        scored = batch.to_score(job.settings.score.models) if until_published else {}
        for model in batch.models.values():
            alias = aliases.get(model.name)
            version = job.tracker.register(
                model.run,
                description=version_note(
                    model, batch, job.batch_id, job.settings.table.path if model.name in scored else None
                ),
                tags=_version_tags(job, model, batch),
                pending=alias if until_published else None,
            )
            if alias is not None:
                versions[alias] = version
    return versions


def _version_tags(job: Job, model: TrainedModel, batch: TrainedBatch) -> dict[str, str]:
    ratings, test = batch.ratings, model.report.test
    return {
        "model": model.name, "batch_id": job.batch_id, "table": table_tag(job), "dataset": ratings.source.name,
        "dataset_fingerprint": ratings.report.fingerprint, "test_mse": f"{test.mse:.6f}",
        "rank_by": batch.lists.rank_by[model.name], "trained_on": model.report.trained_on,
        "test_rmse": f"{test.rmse:.6f}", "test_mae": f"{test.mae:.6f}", **ratings.tags(),
    }  # fmt: skip


@task(name="move aliases", cache_policy=NO_CACHE)
def move_aliases(job: Job, versions: Versions, champion: TrainedModel) -> None:
    """Point the registry's aliases at the batch's versions; after the publish, where there is one."""
    with job.stages.timed("register"):
        for alias, version in versions.items():
            job.tracker.set_alias(alias, version)
    describe_asset(model=champion.name, batch_id=job.batch_id, test_mse=_test_mse(champion))
    message = f"{champion.name} is the champion of the registry, version {versions['champion']}"
    job.stages.log("register", message)


def promote(job: Job, versions: Versions, batch: TrainedBatch) -> None:
    """Move the registry's aliases, the champion being one of Prefect's assets."""
    made_from = [ratings_asset(batch.ratings.source.uri, job.root)]
    materializing(move_aliases, model_asset(job.settings), made_from)(job, versions, batch.best)


def promote_published(job: Job, versions: Versions, batch: TrainedBatch) -> None:
    """As ``promote``, after a publish, which a failure does not undo: the next run repairs the aliases."""
    try:
        _warn_of_other_table(job, batch)
        promote(job, versions, batch)
        _note_moved(job, job.batch_id)
    except Exception as error:  # noqa: BLE001 - the table is published
        get_run_logger().warning(
            "version %s is published, but the registry's aliases were not moved (the next run moves them): %s",
            job.batch_id, error,
        )  # fmt: skip


def _warn_of_other_table(job: Job, batch: TrainedBatch) -> None:
    """Name the table whose nightly scoring loses its champion, where projects use one name in one registry."""
    with suppress(BadInput):
        reigning = job.tracker.champion()
        table, ratings = reigning.tags.get("table"), reigning.tags.get("ratings")
        if table not in (None, table_tag(job)) and ratings != batch.ratings.tags().get("ratings"):
            get_run_logger().warning(
                "the champion of %r so far, version %d, was trained for %s from %s; now it is one of this table's "
                "ratings, and `recobatch score` will refuse it there; set tracking.registered_model to a name of its "
                "own here",
                reigning.name, reigning.version, table, ratings,
            )  # fmt: skip


def repair_aliases(services: Services) -> None:
    """Move the aliases that the run which published the current snapshot failed to move.

    MLflow is asked only if no run of this project folder noted that they were moved.
    """
    current = services.table.current()
    if current is None or _noted(services) == current.version:
        return
    for alias, version in services.tracker.move_pending_aliases(current.version).items():
        get_run_logger().warning(
            "batch %s had published without moving the registry's aliases: %s is version %d now",
            current.version, alias, version,
        )  # fmt: skip
    if services.tracker.is_up:
        _note_moved(services, current.version)


def _noted(services: Services) -> str | None:
    """The last version whose aliases are known to be moved."""
    try:
        return (services.root / _NOTE).read_text(encoding="utf-8")
    except OSError:
        return None


def _note_moved(services: Services, version: str) -> None:
    with suppress(OSError):  # it only saves time
        (services.root / _NOTE).write_text(version, encoding="utf-8")


def _test_mse(model: TrainedModel) -> float:
    return model.report.test.mse
