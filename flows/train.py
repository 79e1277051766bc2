"""From ratings to trained, tracked and compared models; on its own, the weekly half of the job."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from flows import summary
from flows.assets import describe_asset, materializing, model_asset, ratings_asset
from flows.changes import Before, changes
from flows.handover import (
    Parts,
    Ratings,
    TrainedModel,
    report_in,
    report_of,
    sizes_of,
    write_parts,
    write_trained,
)
from flows.job import Job
from flows.notification import tell_failure
from flows.reporting import report_batch, report_what_stands
from flows.result_page import show_result
from flows.settings import Settings
from recobatch import datasets
from recobatch.addresses import without_secrets
from recobatch.encode import encode
from recobatch.errors import GateRefused, RatingsUnreachable, RecobatchError
from recobatch.gate import check_baseline, choose_champion
from recobatch.ingest import ingest
from recobatch.split import split
from recobatch.tracking import TrackedRun
from recobatch.workspace import source_fingerprint

_RESULT = "training-result"


def may_pass(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a failure may be gone in a moment: what was refused on purpose stays refused."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, RatingsUnreachable) or not isinstance(error, RecobatchError)


@task(
    name="ingest ratings",
    retries=2,
    retry_delay_seconds=[1, 5],
    retry_condition_fn=may_pass,
    cache_policy=NO_CACHE,
)
def ingest_ratings(job: Job) -> Ratings:
    """Fetch, read, check and encode the ratings; unsound rows are set aside with the reason."""
    settings = job.settings
    with job.stage("fetch") as line:
        cache = settings.data.cache.expanduser()
        source = datasets.resolve(settings.data.ratings, cache_dir=cache, on_progress=line.download)
        origin = source_fingerprint(source.uri)
    job.tell("fetch", f"{source.name} from {without_secrets(source.uri)}")
    read = source.read.updated(settings.data.read_options())
    source = replace(source, read=read)
    with job.stage("ingest"):
        shaped_by = {"origin": origin, "read": read.model_dump(), "options": settings.ingest.model_dump()}
        clean = job.work.stage(
            "ingest", shaped_by, lambda out: report_of(ingest(source.uri, read, settings.ingest, out))
        )
        report = report_in(clean)
    counts = {"ratings": report.ratings, "quarantined": report.quarantined}
    job.tell("ingest", f"{report.ratings:,} ratings, {report.quarantined:,} set aside", reused=clean.reused, **counts)
    with job.stage("encode"):
        shaped_by = {"ratings": report.fingerprint}
        encoded = job.work.stage("encode", shaped_by, lambda out: sizes_of(encode(report.ratings_path, out)))
    ratings = Ratings.of(source, report, encoded)
    counts = {"users": ratings.n_users, "items": ratings.n_items}
    job.tell("encode", f"{ratings.n_users:,} users × {ratings.n_items:,} items", reused=encoded.reused, **counts)
    return ratings


@task(name="split ratings", cache_policy=NO_CACHE)
def split_ratings(job: Job, ratings: Ratings) -> Parts:
    """Part the ratings into train, test and maybe validation, and measure what a model has to beat."""
    options = job.settings.split
    with job.stage("split"):
        done = job.work.stage(
            *split_stage(job.settings, ratings), lambda out: write_parts(split(ratings.interactions(), options), out)
        )
    parts = Parts.of(done)
    job.tell("split", ", ".join(f"{n:,} {part}" for part, n in parts.sizes.items()), reused=done.reused, **parts.sizes)
    return parts


def split_stage(settings: Settings, ratings: Ratings) -> tuple[str, dict[str, Any]]:
    """Name of the stage that parts the ratings, and what shapes its output."""
    return "split", {"encoded": ratings.key, "options": settings.split.model_dump()}


@task(name="train", cache_policy=NO_CACHE)
def train_model(
    job: Job, name: str, ratings: Ratings, parts: Parts, taken_up: TrackedRun | None = None
) -> TrainedModel:
    """Train one model, follow it in MLflow epoch by epoch, and measure it on the test part.

    Args:
        job: The batch.
        name: Of the model.
        ratings: What it is trained on.
        parts: Their split.
        taken_up: Run of a batch that died, in which this model is tracked already.
    """
    settings, stage = job.settings, f"train {name}"
    run = taken_up or job.start_run(name, summary.shaping(settings, name), ratings.info())
    with job.stage(stage, total=settings.train.epochs) as line:

        def on_epoch(epoch: int, loss: float, val_loss: float) -> None:
            run.log_epoch(epoch, loss, None if math.isnan(val_loss) else val_loss)
            line.update(done=epoch, note=f"epoch {epoch}: loss {loss:.4f}, val_loss {val_loss:.4f}")

        done = job.work.stage(
            *training_stage(settings, name, parts),
            lambda out: write_trained(name, settings, ratings, parts.load(), out, on_epoch),
        )
        history = done.report["history"]
        if done.reused and not taken_up:
            for epoch, loss in enumerate(history["loss"]):
                on_epoch(epoch + 1, loss, history["val_loss"][epoch] if history["val_loss"] else math.nan)
    model = TrainedModel.of(name, done, run)
    counts = {"epochs": len(history["loss"]), "test_mse": model.test["mse"]}
    job.tell(stage, f"test MSE {model.test['mse']:.4f} after {counts['epochs']} epochs", reused=done.reused, **counts)
    return model


def training_stage(settings: Settings, name: str, parts: Parts) -> tuple[str, dict[str, Any]]:
    """Name of the stage that trains a model, and what shapes its output."""
    return f"train-{name}", {"parts": parts.key, "settings": summary.shaping(settings, name)}


@task(name="track", retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE)
def track_model(job: Job, model: TrainedModel, ratings: Ratings, parts: Parts) -> None:
    """Hand figures and files of a trained model to MLflow."""
    with job.stage("track"):
        model.run.log_metrics(summary.metrics(model, ratings, parts))
        model.run.log_model(model.files(ratings))
        for name in ("model_summary.txt", "model_diagram.svg"):
            model.run.log_file(model.folder / name)
        if ratings.report.quarantine_path is not None:
            model.run.log_file(ratings.report.quarantine_path, "quarantine")


@task(name="compare models", cache_policy=NO_CACHE)
def compare_models(job: Job, trained: Mapping[str, TrainedModel]) -> str:
    """Name the champion."""
    with job.stage("compare"):
        champion = choose_champion({name: model.candidate() for name, model in trained.items()})
        for model in trained.values():
            model.run.set_tags({"champion": champion})
    job.tell("compare", f"the champion is {champion}")
    return champion


@task(name="quality gate", cache_policy=NO_CACHE)
def check_gate(job: Job, champion: TrainedModel, parts: Parts) -> None:
    """Refuse a champion that is no better than the baseline."""
    check_baseline(champion.candidate(), parts.baselines, job.settings.gate)


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


def train_all(
    job: Job, ratings: Ratings, parts: Parts, taken_up: Mapping[str, TrackedRun] | None = None
) -> dict[str, TrainedModel]:
    """Train the models one after the other: each has the machine to itself.

    Those of a batch that is taken up are trained and tracked already.
    """
    trained, runs = {}, taken_up or {}
    for name in job.settings.models:
        model = train_model.with_options(name=f"train {name}")(job, name, ratings, parts, runs.get(name))
        if name not in runs:
            track_model.with_options(name=f"track {name}")(job, model, ratings, parts)
        trained[name] = model
    return trained


@flow(
    name="train-models",
    on_failure=[tell_failure],
    on_crashed=[tell_failure],
    persist_result=False,
    result_serializer="json",  # Prefect stores what a flow raises, by default as a pickle with all its causes
)
def train_models(settings: Settings = Settings(), fresh: bool = False) -> dict[str, Any]:  # noqa: B008 - it is frozen
    """Ingest to registered models; nothing is scored."""
    job = Job.open(settings, fresh=fresh)
    with job.closing():
        ratings = ingest_ratings(job)
        parts = split_ratings(job, ratings)
        trained = train_all(job, ratings, parts)
        champion = compare_models(job, trained)
        before = Before.registered(job.tracker)
        result = summary.of_training(job, ratings, parts, trained, champion)
        result["change"] = changes(result, before)
        report = partial(
            report_batch, job, ratings, parts, trained, champion, titles=ratings.titles(), table=None,
            command="train",
        )  # fmt: skip
        try:
            check_gate(job, trained[champion], parts)
        except GateRefused as refusal:
            result |= report_what_stands(job, partial(report, gate=str(refusal)), "the gate refused, without a report")
            show_result(job, _RESULT, summary.closed(job, result), refused=str(refusal))
            raise
        made_from = [ratings_asset(ratings.source.uri, job.root)]
        materializing(register_models, model_asset(job.settings), made_from)(job, trained, champion, ratings)
        result |= report_what_stands(job, report, "the models are registered, without a report")
        result = summary.closed(job, result)
        show_result(job, _RESULT, result)
    return result


def _test_mse(model: TrainedModel) -> float:
    return float(model.test["mse"])
