"""One model trained, validated and tracked in MLflow."""

import math
import os
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job
from flows.outputs import LeftOut, Parts, Ratings, TrainedModel
from flows.settings.tree import Settings
from flows.tasks.calibrate import COMPARED_FILE, calibration_metrics, further_file
from flows.tasks.fingerprints import shaping_settings
from flows.tasks.lanes import check_lane
from flows.tasks.left_out import leave_out
from recobatch.errors import TrainingDiverged
from recobatch.models import find_model
from recobatch.tracking import TrackedRun
from recobatch.training.choice import train_without_more, validation_error
from recobatch.training.fit import TrainingInputs, fit, n_steps

Validated = tuple[float, Path]
"""Error of a model on held-out training ratings, and the factors of the training that it was measured on."""
_MOST_POINTS = 100
"""Most steps of a curve in MLflow for a model with many sweeps."""
_MOST_BESIDE = 5_000_000
"""Most ratings with which models are trained side by side."""


def model_lanes(settings: Settings) -> tuple[list[str], list[str]]:
    """Names of the Keras models, and of the others."""
    names = settings.model_names
    return [name for name in names if find_model(name).is_keras], [
        name for name in names if not find_model(name).is_keras
    ]


def are_trained_beside(settings: Settings, ratings: Ratings) -> bool:
    """Whether Keras models are trained beside the others: of more ratings, both would not fit in memory."""
    return bool(model_lanes(settings)[0]) and ratings.report.ratings <= _MOST_BESIDE


@task(name="train", cache_policy=NO_CACHE)
def train_model(job: Job, name: str, ratings: Ratings, parts: Parts) -> TrainedModel | LeftOut:
    """Train one model, log its epochs to MLflow, and measure it on the test part.

    Args:
        job: The batch.
        name: Of the model.
        ratings: All ratings.
        parts: Their split.
    """
    settings, stage, resumed, spec = job.settings, f"train {name}", name in job.resumed, find_model(name)
    total = n_steps(name, settings.model, settings.train, parts.report.sizes["train"])
    every = 1 if spec.is_keras else math.ceil(total / _MOST_POINTS)
    run = job.resumed[name] if resumed else _start_run(job, name, ratings)
    with job.stages.timed(stage, total=total) as progress:

        def on_epoch(epoch: int, loss: float, val_loss: float, **figures: float) -> None:
            check_lane()
            if epoch % every == 0 or epoch in (1, total):
                run.log_epoch(epoch, loss, None if math.isnan(val_loss) else val_loss, **figures)
            validated = "" if math.isnan(val_loss) else f", val_loss {val_loss:.4f}"
            progress.update(done=epoch, note=f"{spec.step} {epoch}: loss {loss:.4f}{validated}")

        try:
            done = job.work.stage(
                *training_stage(settings, name, ratings, parts),
                lambda out: fit(name, training_inputs(settings, ratings, parts), out, on_epoch).to_json(),
            )
        except TrainingDiverged as diverged:
            return leave_out(job, run, LeftOut(name, str(diverged)))
        model = TrainedModel.of(name, done, run)
        history = model.report.history
        if done.reused and not resumed:
            for epoch, loss in enumerate(history.loss):
                validation = history.val_loss[epoch] if history.val_loss else math.nan
                on_epoch(epoch + 1, loss, validation, **model.report.figures_of(epoch))
    counts = {"epochs": len(history.loss), "test_mse": model.report.test.mse}
    message = f"test MSE {model.report.test.mse:.4f} after {counts['epochs']} {spec.step}s"
    job.stages.log(stage, message, reused=done.reused, **counts)
    return model


@task(name="track", retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE)
def track_model(job: Job, model: TrainedModel, ratings: Ratings, parts: Parts) -> None:
    """Log figures and files of a trained model to MLflow."""
    with job.stages.timed("track"):
        metrics = model.report.metrics() | calibration_metrics(model)
        beside = {key: value for key, value in metrics.items() if _is_fact(key)}
        model.run.log_metrics({key: metrics[key] for key in metrics if key not in beside})
        model.run.log_facts({**model.report.facts(), **ratings.facts(), **parts.report.metrics(), **beside})
        model.run.log_model(model.files)
        for path in model.files.descriptions:
            model.run.log_file(path)
        if ratings.report.quarantine_path is not None:
            model.run.log_file(ratings.report.quarantine_path, "quarantine")


def _is_fact(figure: str) -> bool:
    """Whether a figure of the uncertainty needs no chart: of a constant spread, or of one decile."""
    return figure.endswith("_constant") or figure.startswith("coverage_90_")


def validate(job: Job, name: str, ratings: Ratings, parts: Parts) -> Validated | LeftOut | None:
    """The error of a model on training ratings that were held out from another training of it, if wanted.

    A validation part of the split's own has measured it already. The calibration needs such ratings of every model.
    """
    fraction = job.settings.champion.validation_fraction
    if not fraction or "validation" in parts.report.sizes:
        return None
    return validate_model.with_options(name=f"validate {name}")(job, name, ratings, parts, fraction)


@task(name="validate", cache_policy=NO_CACHE)
def validate_model(job: Job, name: str, ratings: Ratings, parts: Parts, fraction: float) -> Validated | LeftOut:
    """Mean squared error of a model on a part of the training ratings, after a training on the others; its factors."""
    settings, stage = job.settings, f"validate {name}"

    def build(out: Path) -> dict[str, Any]:
        factors, inputs = out / COMPARED_FILE, training_inputs(settings, ratings, parts)
        error = validation_error(name, inputs, fraction, lambda *_, **__: check_lane(), factors)
        for number, other in enumerate(train_without_more(name, inputs, fraction), 1):
            other.save(further_file(factors, number))
            check_lane()
        return {"mse": error if math.isfinite(error) else None}

    _, shaped_by = training_stage(settings, name, ratings, parts)
    with job.stages.timed(stage):
        try:
            done = job.work.stage(f"validate-{name}", {**shaped_by, "fraction": fraction}, build)
        except TrainingDiverged as diverged:
            return LeftOut(name, str(diverged))
    error = math.nan if done.report["mse"] is None else float(done.report["mse"])
    job.stages.log(stage, f"validation MSE {error:.4f}", reused=done.reused, validation_mse=error)
    return error, done.path / COMPARED_FILE


def training_stage(settings: Settings, name: str, ratings: Ratings, parts: Parts) -> tuple[str, dict[str, Any]]:
    """Name of the stage that trains a model, and what shapes its output."""
    side = {"side": ratings.side.key} if find_model(name).uses_features else {}
    return f"train-{name}", {"parts": parts.key, "settings": shaping_settings(settings, name), **side}


def _start_run(job: Job, name: str, ratings: Ratings) -> TrackedRun:
    params, dataset = shaping_settings(job.settings, name), ratings.info()
    run = job.tracker.start_run(batch_id=job.batch_id, model_name=name, params=params, dataset=dataset)
    job.runs.add(run)
    return run


def training_inputs(settings: Settings, ratings: Ratings, parts: Parts) -> TrainingInputs:
    """What a model of the batch is trained on, and how."""
    return TrainingInputs(
        ratings.encoded, parts.load(), ratings.range_of(settings.ingest), settings.model, settings.train,
        settings.seed, ratings.side.load("users"), ratings.side.load("items"),
        trained_on=settings.champion.trained_on,
        n_threads=_n_threads(settings, ratings),
    )  # fmt: skip


def _n_threads(settings: Settings, ratings: Ratings) -> int | None:
    """Threads of a model in NumPy: one core is left to the Keras models beside it."""
    return max(1, (os.cpu_count() or 1) - 1) if are_trained_beside(settings, ratings) else None
