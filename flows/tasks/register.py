"""The registry: every model of a batch becomes a version; the champion is fetched for a night's scoring."""

import shutil
from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job
from flows.outputs import (
    Ratings,
    ToScore,
    TrainedModel,
)
from flows.results import summary
from flows.results.assets import describe_asset
from flows.tasks.ingest import is_transient


@task(name="register models", cache_policy=NO_CACHE)
def register_models(job: Job, trained: Mapping[str, TrainedModel], champion: str, ratings: Ratings) -> None:
    """Make every model of the batch a version in the registry, and move the aliases."""
    with job.stage("register"):
        best_other = min((m for m in trained.values() if m.name != champion), key=_test_mse, default=None)
        for model in trained.values():
            version = job.tracker.register(
                model.run,
                description=f"{model.name}, test MSE {model.test['mse']:.4f}, on {ratings.source.name}",
                tags=summary.version_tags(job, model, ratings),
            )
            if model.name == champion:
                job.tracker.set_alias("champion", version)
                told = f"{champion} is the champion of the registry, version {version}"
            elif model is best_other:
                job.tracker.set_alias("challenger", version)
    describe_asset(model=champion, batch_id=job.batch_id, test_mse=trained[champion].test["mse"])
    job.tell("register", told)


def _test_mse(model: TrainedModel) -> float:
    return float(model.test["mse"])


@task(
    name="fetch champion",
    retries=2,
    retry_delay_seconds=[1, 5],
    retry_condition_fn=is_transient,
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
    return ToScore(name, champion.run_id, files, test_mse, champion.tags)
