"""How sure a trained model is: noise terms and intervals, fitted to ratings that it does not know."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job
from flows.outputs import CalibratedModel, CalibratedOn, Parts, TrainedModel
from flows.settings.tree import Settings
from recobatch.evaluation.calibration import around_means, calibrate_model
from recobatch.evaluation.noise import HeldOut
from recobatch.evaluation.uncertainty import UncertaintyQuality, assess_crosswise, assess_uncertainty
from recobatch.factors import FactorModel
from recobatch.interactions import Split
from recobatch.intervals import Calibration
from recobatch.model_folder import CALIBRATION_FILE
from recobatch.training.choice import held_out_parts

COMPARED_FILE = "factors.npz"
"""Factors of the training that held out a part of the training ratings."""


def further_file(compared: Path, number: int) -> Path:
    """Where the factors of the further trainings lie, from 1."""
    return compared.with_name(f"factors-{number}.npz")


def calibrate(
    job: Job, model: TrainedModel, parts: Parts, stage: str, shaped_by: Mapping[str, Any], compared: Path | None
) -> TrainedModel:
    """The model with noise terms and intervals, judged on the test part.

    Args:
        job: The batch.
        model: The model.
        parts: The split.
        stage: Name of the stage that trained it.
        shaped_by: What shaped the output of that stage.
        compared: Factors of the training that held out a part of the training ratings. Without one, the calibration is
            fitted to the split's validation part, or crosswise to the test part.
    """
    step = fit_calibration.with_options(name=f"calibrate {model.name}")
    calibrated = step(job, model, parts, *calibration_stage(job.settings, stage, shaped_by), compared)
    return replace(model, files=replace(model.files, fitted_calibration=calibrated.path), calibrated=calibrated)


@task(name="calibrate", cache_policy=NO_CACHE)
def fit_calibration(
    job: Job, model: TrainedModel, parts: Parts, stage: str, shaped_by: dict[str, Any], compared: Path | None
) -> CalibratedModel:
    """Calibrate a model, unless an earlier run did."""

    def build(out: Path) -> dict[str, Any]:
        factors = FactorModel.load(model.files.judged)
        calibration, on, quality = _fit(factors, parts.load(), compared, job.settings)
        calibration.save(out / CALIBRATION_FILE)
        return {"fingerprint": calibration.fingerprint, "calibrated_on": on, "quality": quality.to_dict()}

    with job.stages.timed("calibrate"):
        done = job.work.stage(stage, shaped_by, build)
    calibrated = CalibratedModel.of(done)
    quality = calibrated.quality
    message = f"90 % intervals of {model.name} cover {quality.coverage:.1%} of the test ratings"
    job.stages.log("calibrate", message, reused=done.reused, coverage_90=quality.coverage)
    return calibrated


def calibration_stage(settings: Settings, trained: str, shaped_by: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name of the stage that calibrates a model, and what shapes its output, from those of its training."""
    name = trained.removeprefix("train-")
    return f"calibrate-{name}", {**shaped_by, "fraction": settings.champion.validation_fraction}


def calibration_metrics(model: TrainedModel) -> dict[str, float]:
    """Figures by their names in MLflow."""
    return {} if model.calibrated is None else model.calibrated.quality.metrics()


def _fit(
    factors: FactorModel, split: Split, compared: Path | None, settings: Settings
) -> tuple[Calibration, CalibratedOn, UncertaintyQuality]:
    train, test = split.train, HeldOut.of(factors, split.test)
    if compared is not None:
        parts = held_out_parts(split, settings.champion.validation_fraction, settings.seed)
        known, other = next(parts), FactorModel.load(compared)
        further = takewhile(Path.exists, (further_file(compared, number) for number in count(1)))
        others = ((FactorModel.load(path), part.test) for path, part in zip(further, parts, strict=False))
        calibration = calibrate_model(other, seen=known.train, held_out=known.test, train=train, others=others)
        return calibration, "held-out training ratings", assess_uncertainty(calibration, test)
    if split.validation is not None:
        calibration = calibrate_model(factors, seen=train, held_out=split.validation, train=train)
        return calibration, "validation part", assess_uncertainty(calibration, test)
    calibration = calibrate_model(factors, seen=train, held_out=split.test, train=train)
    seen = around_means(train, factors.min_rating, factors.max_rating)
    return calibration, "test part, crosswise", assess_crosswise(calibration, test, seen)
