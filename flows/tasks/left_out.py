"""Models that are not published: they diverged, or they failed the gate and are not the champion."""

from dataclasses import replace

from prefect.logging import get_run_logger

from flows.job import Job
from flows.outputs import LeftOut, TrainedBatch
from recobatch.evaluation.gate import baseline_failure
from recobatch.tracking import TrackedRun


def leave_out(job: Job, run: TrackedRun, model: LeftOut) -> LeftOut:
    """Continue the batch without a model that diverged: its run fails, and a warning is logged."""
    run.set_tags({"left_out": model.reason})
    job.runs.fail(run)
    get_run_logger().warning("%s is left out: %s", model.name, model.reason)
    return model


def leave_out_failing(job: Job, batch: TrainedBatch) -> TrainedBatch:
    """The batch without the models that would be published beside the champion and fail the gate."""
    if job.settings.score.models != "all":
        return batch
    baselines, failing = batch.parts.report.baselines, dict[str, str]()
    for name, model in batch.models.items():
        reason = baseline_failure(model.candidate(), baselines, job.settings.gate)
        if reason and name != batch.champion:
            failing[name] = reason
            model.run.set_tags({"left_out": reason})
            get_run_logger().warning("%s is left out: %s", name, reason)
    return replace(batch, left_out={**batch.left_out, **failing})
