"""Going on with a batch that died while it was scored: under its name, in its MLflow runs, with its finished shards."""

from collections.abc import Mapping
from typing import Any

from flows.job import Job
from flows.outputs import Parts, Ratings, TrainedModel
from flows.results import summary
from flows.tasks.train import training_stage
from recobatch.model_folder import ModelFolder
from recobatch.tracking import TrackedRun


def notes(job: Job, ratings: Ratings, trained: Mapping[str, TrainedModel]) -> dict[str, Any]:
    """What the next run has to know of this one, should it die."""
    models = {name: {"factors": model.fingerprint, "journal": model.run.journal} for name, model in trained.items()}
    return {"inputs": summary.inputs_fingerprint(job.settings, ratings), "models": models}


def take_up(job: Job, ratings: Ratings, parts: Parts) -> dict[str, TrackedRun]:
    """Make a batch of the very same inputs that died while it was scored this one; else remove what dead runs left.

    The files of its table name its version and its MLflow runs, so they can be used again only as that batch.

    Returns:
        Its run of every model. None at all where no such batch was left, or a model is not what it was.
    """
    inputs = summary.inputs_fingerprint(job.settings, ratings)
    for left in job.table.unfinished():
        if left.notes.get("inputs") == inputs and (runs := runs_of(job, parts, left.notes["models"])):
            job.batch_id = left.version
            job.runs += runs.values()
            job.tell("resume", f"goes on with batch {left.version}, which died with {left.finished} files written")
            return runs
    job.table.clean()
    return {}


def runs_of(job: Job, parts: Parts, noted: Mapping[str, Mapping[str, str]]) -> dict[str, TrackedRun]:
    """The runs in MLflow that a batch noted, to go on with; none where one of them or the output of a stage is gone."""
    folders = {}
    for name in job.settings.model_names:
        done = job.work.find(*training_stage(job.settings, name, parts))
        if done is None or done.report["fingerprint"] != noted[name]["factors"]:
            return {}
        folders[name] = done.path
    runs: dict[str, TrackedRun] = {}
    for name, folder in folders.items():
        run = job.tracker.resume_run(noted[name]["journal"], model_name=name, model=ModelFolder(folder))
        if run is None:
            for other in runs.values():
                other.finish("KILLED")
            return {}
        runs[name] = run
    return runs
