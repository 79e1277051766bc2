"""The models of a batch: trained in two lanes, the champion chosen and given all ratings, each tracked in MLflow."""

from dataclasses import replace

from flows.job import Job
from flows.outputs import Parts, Ratings, TrainedBatch, TrainedInterest, TrainedModel
from flows.tasks.calibrate import calibrate
from flows.tasks.interest import train_interest
from flows.tasks.lanes import side_by_side
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
from recobatch.models.native_log import import_tensorflow
from recobatch.scoring.kernel import one_blas_thread


def train_batch(job: Job, ratings: Ratings, parts: Parts) -> TrainedBatch:
    """Train the models and choose the champion, which is then given all ratings.

    The Keras models follow each other, since they share TensorFlow's random state; what trains in NumPy runs beside
    them, unless the ratings are so many that both would not fit in memory.
    """
    keras, others = model_lanes(job.settings)

    def in_numpy() -> tuple[TrainedInterest | None, dict[str, TrainedModel]]:
        interest = train_interest(job, ratings, parts)
        return interest, {name: _train(job, name, ratings, parts) for name in others}

    def in_keras() -> tuple[dict[str, TrainedModel], dict[str, Validated | None]]:
        stages = [training_stage(job.settings, name, ratings, parts) for name in keras]
        if any(job.work.find(*stage) is None for stage in stages):
            with job.stages.timed("import TensorFlow"):
                import_tensorflow()
        trained = {
            name: _calibrated(
                job, _train(job, name, ratings, parts), validate(job, name, ratings, parts), parts, ratings
            )
            for name in keras
        }
        # This lane ends first, so it takes the others' second training.
        return trained, {name: validate(job, name, ratings, parts) for name in others}

    if are_trained_beside(job.settings, ratings):
        with one_blas_thread():  # as long as any of them needs it: the limit holds for the whole process
            (trained, validated), (interest, sampled) = side_by_side(in_keras, in_numpy)
    else:
        (interest, sampled), (trained, validated) = in_numpy(), in_keras()
    sampled = {name: _calibrated(job, model, validated[name], parts, ratings) for name, model in sampled.items()}
    models = {name: _with_interest(model, interest) for name, model in (trained | sampled).items()}
    return _chosen(job, {name: models[name] for name in job.settings.model_names}, interest, ratings, parts)


def _chosen(
    job: Job, models: dict[str, TrainedModel], interest: TrainedInterest | None, ratings: Ratings, parts: Parts
) -> TrainedBatch:
    standings = find_standings(job, models, parts)
    champion = compare_models(job, models, standings)
    models[champion] = with_all_ratings(job, models[champion], ratings, parts)
    for name, model in models.items():
        if name not in job.resumed:
            track_model.with_options(name=f"track {name}")(job, model, ratings, parts)
    lists = measure_batch(job, models, interest, ratings, parts)
    return TrainedBatch(ratings, parts, models, champion, interest, lists, standings)


def _train(job: Job, name: str, ratings: Ratings, parts: Parts) -> TrainedModel:
    return train_model.with_options(name=f"train {name}")(job, name, ratings, parts)


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
