"""Which batch a run makes: a new one, or one that an earlier run left unfinished.

The files of a table name its version and its MLflow runs, so they can be used again only by the batch of that name.
"""

from collections.abc import Mapping
from typing import Any

from flows.job import Job, Services
from flows.outputs import Parts, Ratings, ToScore, TrainedModel
from flows.tasks.fingerprints import predictions_fingerprint
from flows.tasks.train import training_stage
from recobatch.model_folder import ModelFolder
from recobatch.tracking import TrackedRun


def notes(inputs: str, models: Mapping[str, TrainedModel]) -> dict[str, Any]:
    """What a later run needs to resume this batch.

    Args:
        inputs: Fingerprint of everything that shapes the table.
        models: The trained models by name.
    """
    kept = {name: {"factors": model.report.fingerprint, "journal": model.run.journal} for name, model in models.items()}
    return {"inputs": inputs, "models": kept}


def begin_batch(services: Services, inputs: str, ratings: Ratings, parts: Parts) -> Job:
    """The batch of the very same inputs that an earlier run left unfinished, else a new one.

    A batch is not resumed if one of its models or MLflow runs is gone; its files are removed then.
    """
    for left in services.table.unfinished():
        if left.notes.get("inputs") == inputs and (runs := find_runs(services, parts, left.notes["models"])):
            job = services.begin(left.version, runs)
            job.stages.log("resume", f"resumes batch {left.version}, of which {left.finished} files are written")
            return job
    services.table.clean()
    return services.begin()


def begin_scoring(services: Services, champion: ToScore) -> Job:
    """The batch of the very same predictions that an earlier run left unfinished, else a new one."""
    key = predictions_fingerprint(services.settings, {champion.name: champion})
    left = [] if services.fresh else [each.version for each in services.table.unfinished() if each.shaped_by == key]
    return services.begin(left[0] if left else None)


def find_runs(services: Services, parts: Parts, noted: Mapping[str, Mapping[str, str]]) -> dict[str, TrackedRun]:
    """The MLflow runs of an earlier batch, to be resumed; none if one of them or the output of a stage is gone."""
    folders = {}
    for name in services.settings.model_names:
        done = services.work.find(*training_stage(services.settings, name, parts))
        if done is None or done.report["fingerprint"] != noted[name]["factors"]:
            return {}
        folders[name] = done.path
    runs: dict[str, TrackedRun] = {}
    for name, folder in folders.items():
        run = services.tracker.resume_run(noted[name]["journal"], model_name=name, model=ModelFolder(folder))
        if run is None:
            for other in runs.values():
                other.finish("KILLED")
            return {}
        runs[name] = run
    return runs
