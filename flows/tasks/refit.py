"""The champion, trained once more on all ratings to be published."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Job, Services
from flows.outputs import Parts, Ratings, TrainedModel
from flows.settings.tree import Settings
from flows.tasks.train import training_inputs, training_stage
from recobatch.errors import TrainingDiverged
from recobatch.models import find_model
from recobatch.storage.workspace import StageOutput
from recobatch.training.refit import refit


def with_all_ratings(job: Job, model: TrainedModel, ratings: Ratings, parts: Parts) -> TrainedModel:
    """The champion as it is published.

    A Keras model is trained again, unless ``champion.trained_on=train``; a sampled one was given all ratings where it
    was trained, beside the Keras models.
    """
    if job.settings.champion.trained_on == "train" or not find_model(model.name).is_keras:
        return model
    return refit_model.with_options(name=f"refit {model.name}")(job, model, ratings, parts)


@task(name="refit", cache_policy=NO_CACHE)
def refit_model(job: Job, model: TrainedModel, ratings: Ratings, parts: Parts) -> TrainedModel:
    """Train a Keras model on all ratings for the epochs that were best; its errors stay those of the measured one.

    Where that training diverges, the model is published as it was measured, with the reason.
    """
    stage, epochs = f"refit {model.name}", model.report.history.best_epoch
    with job.stages.timed(stage, total=epochs) as progress:

        def on_epoch(epoch: int, loss: float, val_loss: float, **figures: float) -> None:
            progress.update(done=epoch, note=f"epoch {epoch}: loss {loss:.4f}")

        def build(out: Path) -> dict[str, Any]:
            inputs = training_inputs(job.settings, ratings, parts)
            return refit(model.name, inputs, model.files, model.report, out, on_epoch).to_json()

        try:
            done = job.work.stage(*refit_stage(job.settings, model.name, ratings, parts), build)
        except TrainingDiverged as diverged:
            return _as_measured(model, str(diverged))
    known = TrainedModel.of(model.name, done, model.run)
    job.stages.log(stage, f"{ratings.report.ratings:,} ratings, {epochs} epochs", reused=done.reused, epochs=epochs)
    report = replace(known.report, validation_mse=model.report.validation_mse)
    return replace(model, files=replace(model.files, path=done.path), report=report)


def _as_measured(model: TrainedModel, reason: str) -> TrainedModel:
    model.run.set_tags({"refit_failed": reason})
    get_run_logger().warning(
        "%s is published as it was measured, without the ratings that were held out: %s", model.name, reason
    )
    return replace(model, refit_failed=reason)


def refit_stage(settings: Settings, name: str, ratings: Ratings, parts: Parts) -> tuple[str, dict[str, Any]]:
    """Name of the stage that trains a champion on all ratings, and what shapes its output."""
    _, shaped_by = training_stage(settings, name, ratings, parts)
    return f"refit-{name}", shaped_by


def find_trained(
    services: Services, name: str, ratings: Ratings, parts: Parts, fingerprint: str | None
) -> StageOutput | None:
    """Output of the stage that made a model as it was published.

    Args:
        services: Of the run.
        name: Of the model.
        ratings: All ratings.
        parts: Their split.
        fingerprint: Of its published factors.

    Returns:
        None if it is gone, or made other factors.
    """
    for stage in (training_stage, refit_stage):
        done = services.work.find(*stage(services.settings, name, ratings, parts))
        if done is not None and done.report["fingerprint"] == fingerprint:
            return done
    return None
