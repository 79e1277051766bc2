"""Which batch a run makes: a new one, or one that an earlier run left unfinished.

The files of a table name its version and its MLflow runs, so they can be used again only by the batch of that name.
"""

from collections.abc import Mapping
from typing import Any

from flows.job import Job, Services
from flows.outputs import Parts, Ratings, ToScore, TrainedBatch
from flows.settings.tree import INTEREST
from flows.tasks.calibrate import calibration_stage
from flows.tasks.fingerprints import predictions_fingerprint
from flows.tasks.interest import interest_stage
from flows.tasks.refit import find_trained
from flows.tasks.train import training_stage
from recobatch.model_folder import CALIBRATION_FILE, INTEREST_FILE, ModelFolder
from recobatch.tracking import TrackedRun


def notes(inputs: str, batch: TrainedBatch) -> dict[str, Any]:
    """What a later run needs to resume this batch.

    Args:
        inputs: Fingerprint of everything that shapes the table.
        batch: Its models.
    """
    kept = {
        name: {"factors": model.report.fingerprint, "journal": model.run.journal}
        for name, model in batch.models.items()
    }
    if (interest := batch.interest) is None:
        return {"inputs": inputs, "models": kept}
    known = {"factors": interest.training.fingerprint, "journal": interest.run.journal}
    return {"inputs": inputs, "models": kept, INTEREST: known}


def begin_batch(services: Services, inputs: str, ratings: Ratings, parts: Parts) -> Job:
    """The batch of the very same inputs that an earlier run left unfinished, else a new one.

    A batch is not resumed if one of its models or MLflow runs is gone; its files are removed then.
    """
    for left in services.table.unfinished():
        if left.notes.get("inputs") == inputs and (runs := find_runs(services, ratings, parts, left.notes)):
            job = services.begin(left.version, runs)
            job.stages.log("resume", f"resumes batch {left.version}, of which {left.finished} files are written")
            return job
    services.table.clean()
    return services.begin()


def begin_scoring(services: Services, models: Mapping[str, ToScore]) -> Job:
    """The batch of the very same predictions that an earlier run left unfinished, else a new one."""
    with services.stages.timed("fingerprint"):
        key = predictions_fingerprint(services.settings, models)
    left = [] if services.fresh else [each.version for each in services.table.unfinished() if each.shaped_by == key]
    return services.begin(left[0] if left else None)


def find_runs(services: Services, ratings: Ratings, parts: Parts, noted: Mapping[str, Any]) -> dict[str, TrackedRun]:
    """The MLflow runs of an earlier batch, to be resumed; none if one of them or the output of a stage is gone.

    Args:
        services: Of the run.
        ratings: All ratings.
        parts: Their split.
        noted: As ``notes`` returned it.
    """
    settings, interest = services.settings, None
    known, models = dict(noted["models"]), dict[str, ModelFolder | None]()
    if settings.interest.method != "none":
        known[INTEREST] = noted.get(INTEREST, {"factors": None})
        done = services.work.find(*interest_stage(settings, parts))
        if done is None or done.report["fingerprint"] != known[INTEREST]["factors"]:
            return {}
        interest = done.path
        models[INTEREST] = None  # its run logs no model of its own
    for name in settings.model_names:
        if name not in known:
            continue  # it diverged
        stage = training_stage(settings, name, ratings, parts)
        trained = find_trained(services, name, ratings, parts, known[name]["factors"])
        calibrated = services.work.find(*calibration_stage(settings, *stage))
        if trained is None or calibrated is None:
            return {}
        calibration = calibrated.path / CALIBRATION_FILE
        models[name] = ModelFolder(trained.path, interest and interest / INTEREST_FILE, calibration)
    return _resume(services, known, models)


def _resume(
    services: Services, noted: Mapping[str, Mapping[str, str]], models: Mapping[str, ModelFolder | None]
) -> dict[str, TrackedRun]:
    runs: dict[str, TrackedRun] = {}
    for name, model in models.items():
        run = services.tracker.resume_run(noted[name]["journal"], model_name=name, model=model)
        if run is None:
            for other in runs.values():
                other.finish("KILLED")
            return {}
        runs[name] = run
    return runs
