"""Train the models one after the other, and track each in MLflow."""

import math
from collections.abc import Mapping
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job
from flows.outputs import (
    Parts,
    Ratings,
    TrainedModel,
    write_trained,
)
from flows.results import summary
from flows.settings.tree import Settings
from recobatch.tracking import TrackedRun


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
        model.run.log_model(model.files)
        for name in ("model_summary.txt", "model_diagram.svg"):
            model.run.log_file(model.folder / name)
        if ratings.report.quarantine_path is not None:
            model.run.log_file(ratings.report.quarantine_path, "quarantine")


def train_all(
    job: Job, ratings: Ratings, parts: Parts, taken_up: Mapping[str, TrackedRun] | None = None
) -> dict[str, TrainedModel]:
    """Train the models one after the other: each has the machine to itself.

    Those of a batch that is taken up are trained and tracked already.
    """
    trained, runs = {}, taken_up or {}
    for name in job.settings.model_names:
        model = train_model.with_options(name=f"train {name}")(job, name, ratings, parts, runs.get(name))
        if name not in runs:
            track_model.with_options(name=f"track {name}")(job, model, ratings, parts)
        trained[name] = model
    return trained
