"""The registry: every model of a batch becomes a version; the champion is fetched for a night's scoring."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Job
from flows.outputs import Ratings, ToScore, TrainedModel
from flows.results import summary
from flows.results.assets import describe_asset
from flows.tasks.ingest import is_transient
from recobatch.tracking import Alias, RegisteredVersion


@task(name="register models", cache_policy=NO_CACHE)
def register_models(
    job: Job, trained: Mapping[str, TrainedModel], champion: str, ratings: Ratings
) -> dict[Alias, RegisteredVersion]:
    """Make every model of the batch a version in the registry.

    Returns:
        The versions that ``move_aliases`` is for: of the champion, and of the best other model.
    """
    with job.stage("register"):
        others = sorted((model for model in trained.values() if model.name != champion), key=_test_mse)
        aliases: dict[str, Alias] = {champion: "champion", **{model.name: "challenger" for model in others[:1]}}
        versions: dict[Alias, RegisteredVersion] = {}
        for model in trained.values():
            alias = aliases.get(model.name)
            version = job.tracker.register(
                model.run,
                description=f"{model.name}, test MSE {model.test['mse']:.4f}, on {ratings.source.name}",
                tags=summary.version_tags(job, model, ratings),
                pending=alias,
            )
            if alias is not None:
                versions[alias] = version
    return versions


@task(name="move aliases", cache_policy=NO_CACHE)
def move_aliases(job: Job, versions: Mapping[Alias, RegisteredVersion], champion: TrainedModel) -> None:
    """Point the registry's aliases at the batch's versions; after the publish, where there is one."""
    with job.stage("register"):
        for alias, version in versions.items():
            job.tracker.set_alias(alias, version)
    describe_asset(model=champion.name, batch_id=job.batch_id, test_mse=champion.test["mse"])
    told = f"{champion.name} is the champion of the registry, version {versions['champion']}"
    job.tell("register", told)


def repair_aliases(job: Job) -> None:
    """Move the aliases that the run which published the current snapshot did not come to move."""
    if (current := job.table.current()) is None:
        return
    for alias, version in job.tracker.move_pending_aliases(current.version).items():
        get_run_logger().warning(
            "batch %s had published without moving the registry's aliases: %s is version %d now",
            current.version, alias, version,
        )  # fmt: skip


def _test_mse(model: TrainedModel) -> float:
    return float(model.test["mse"])


@task(
    name="fetch champion",
    retries=2,
    retry_delay_seconds=[1, 5],
    retry_condition_fn=is_transient,
    cache_policy=NO_CACHE,
)
def fetch_champion(job: Job, folder: Path) -> ToScore:
    """Get the registered champion's factors, their digests checked, into a folder that no other run uses."""
    with job.stage("fetch champion"):
        champion = job.tracker.champion()
        files = champion.download(Path(tempfile.mkdtemp(dir=folder)))  # its own of every attempt
    name = champion.tags.get("model", "champion")
    job.tell("fetch champion", f"{name}, version {champion.version}")
    test_mse = float(champion.tags["test_mse"]) if "test_mse" in champion.tags else None
    return ToScore(name, champion.run_id, files, test_mse, champion.tags)
