"""The models of a batch: trained in two lanes, the champion chosen and given all ratings, each tracked in MLflow."""

from collections.abc import Mapping
from dataclasses import replace

from flows.job import Job
from flows.outputs import LeftOut, Parts, Ratings, TrainedBatch, TrainedInterest, TrainedModel
from flows.tasks.calibrate import calibrate
from flows.tasks.interest import train_interest
from flows.tasks.lanes import side_by_side
from flows.tasks.left_out import leave_out
from flows.tasks.lists import measure_batch
from flows.tasks.refit import with_all_ratings
from flows.tasks.select import compare_models, find_standings
from flows.tasks.train import (
    Validated,
    are_trained_beside,
    model_lanes,
    track_model,
    train_model,
    training_stage,
    validate,
)
from recobatch.blas import one_blas_thread
from recobatch.errors import TrainingDiverged
from recobatch.training.fit import train_keras_here, wait_for_tensorflow


def train_batch(job: Job, ratings: Ratings, parts: Parts) -> TrainedBatch:
    """Train the models and choose the champion, which is then given all ratings.

    The Keras models follow each other, since they share TensorFlow's random state; what trains in NumPy runs beside
    them, unless the ratings are so many that both would not fit in memory.
    """
    keras, others = model_lanes(job.settings)

    def in_numpy() -> tuple[TrainedInterest | None, dict[str, TrainedModel | LeftOut]]:
        interest = train_interest(job, ratings, parts)
        return interest, {name: _train(job, name, ratings, parts) for name in others}

    def in_keras() -> tuple[dict[str, TrainedModel | LeftOut], dict[str, Validated | LeftOut | None]]:
        stages = [training_stage(job.settings, name, ratings, parts) for name in keras]
        if any(job.work.find(*stage) is None for stage in stages):
            with job.stages.timed("import TensorFlow"):
                wait_for_tensorflow()
        trained = {name: _train_and_validate(job, name, ratings, parts) for name in keras}
        # This lane ends first, so it takes the others' second training.
        return trained, {name: validate(job, name, ratings, parts) for name in others}

    if are_trained_beside(job.settings, ratings):
        with one_blas_thread():  # as long as any of them needs it: the limit holds for the whole process
            (trained, validated), (interest, sampled) = side_by_side(in_keras, in_numpy)
    else:
        train_keras_here()
        (interest, sampled), (trained, validated) = in_numpy(), in_keras()
    sampled = {name: _completed(job, model, validated[name], parts, ratings) for name, model in sampled.items()}
    return _chosen(job, trained | sampled, interest, ratings, parts)


def _chosen(
    job: Job, found: Mapping[str, TrainedModel | LeftOut], interest: TrainedInterest | None, ratings: Ratings,
    parts: Parts,
) -> TrainedBatch:  # fmt: skip
    left_out = {name: model.reason for name, model in found.items() if isinstance(model, LeftOut)}
    trained = {name: model for name, model in found.items() if isinstance(model, TrainedModel)}
    if not trained:
        raise TrainingDiverged("; ".join(left_out.values()))
    models = {name: _with_interest(trained[name], interest) for name in job.settings.model_names if name in trained}
    standings = find_standings(job, models, parts)
    champion = compare_models(job, models, standings)
    models[champion] = with_all_ratings(job, models[champion], ratings, parts)
    for name, model in models.items():
        if name not in job.resumed:
            track_model.with_options(name=f"track {name}")(job, model, ratings, parts)
    lists = measure_batch(job, models, interest, ratings, parts)
    return TrainedBatch(ratings, parts, models, champion, interest, lists, standings, left_out)


def _train(job: Job, name: str, ratings: Ratings, parts: Parts) -> TrainedModel | LeftOut:
    return train_model.with_options(name=f"train {name}")(job, name, ratings, parts)


def _train_and_validate(job: Job, name: str, ratings: Ratings, parts: Parts) -> TrainedModel | LeftOut:
    model = _train(job, name, ratings, parts)
    if isinstance(model, LeftOut):
        return model
    return _completed(job, model, validate(job, name, ratings, parts), parts, ratings)


def _completed(
    job: Job, model: TrainedModel | LeftOut, validated: Validated | LeftOut | None, parts: Parts, ratings: Ratings
) -> TrainedModel | LeftOut:
    """The model with its calibration, unless one of its trainings diverged."""
    if isinstance(model, LeftOut):
        return model
    if isinstance(validated, LeftOut):
        return leave_out(job, model.run, validated)
    return _calibrated(job, model, validated, parts, ratings)


def _calibrated(
    job: Job, model: TrainedModel, validated: Validated | None, parts: Parts, ratings: Ratings
) -> TrainedModel:
    """The model with its error on held-out training ratings and its calibration."""
    error, compared = validated or (model.report.validation_mse, None)
    model = replace(model, report=replace(model.report, validation_mse=error))
    stage = training_stage(job.settings, model.name, ratings, parts)
    return replace(calibrate(job, model, parts, *stage, compared), compared=compared)


def _with_interest(model: TrainedModel, interest: TrainedInterest | None) -> TrainedModel:
    return model if interest is None else replace(model, files=replace(model.files, batch_interest=interest.published))
