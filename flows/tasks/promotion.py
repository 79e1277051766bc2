"""Whether a training on its own moves the registry's champion; a batch that publishes moves it in any case."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job
from flows.outputs import TrainedBatch
from flows.results.summary import PromotionSummary
from flows.tasks.register import Versions
from recobatch.errors import BadInput, BadTable, GateRefused, RecobatchError
from recobatch.evaluation.promotion import Comparison, compare_with_reigning, is_of_same_ratings
from recobatch.storage.scratch import temporary_folder
from recobatch.tracking import RegisteredModel

NOT_REGISTERED = PromotionSummary(False, "not registered (--no-register): the champion of the registry stays")


@contextmanager
def registered_without_alias(versions: Versions) -> Iterator[None]:
    """Add to a gate's refusal that the batch's models are in the registry, without the alias."""
    try:
        yield
    except GateRefused as refusal:
        if (version := versions.get("champion")) is None:
            raise
        raise GateRefused(f"{refusal}; version {version} of the registry has it, without the alias champion") from None


@task(name="compare with the champion", cache_policy=NO_CACHE)
def decide_promotion(job: Job, batch: TrainedBatch) -> PromotionSummary:
    """Compare the batch's champion with the registry's, on the same test ratings."""
    with job.stages.timed("promote"), temporary_folder(job.work.root, "reigning") as folder:
        decision = _decide(job, batch, folder)
    job.stages.log("promote", f"{batch.champion} is {decision.reason}")
    return decision


def _decide(job: Job, batch: TrainedBatch, folder: Path) -> PromotionSummary:
    try:
        reigning = job.tracker.champion()
    except BadInput:
        return PromotionSummary(True, "promoted: the registry had no champion")
    except RecobatchError as error:
        return PromotionSummary(False, f"not promoted: the champion could not be read ({error})")
    try:
        files = reigning.download_measured(folder)
        if not is_of_same_ratings(files.load(), batch.best.files.load()):
            return _of_other_ratings(reigning)
        measured = compare_with_reigning(files, batch.best.files, batch.parts.load().test)
    except BadTable as error:
        return PromotionSummary(True, f"promoted: the champion so far cannot be used ({error})", reigning.version)
    except Exception as error:  # noqa: BLE001 - whatever a store of artifacts raises; the models are registered
        said = f"{type(error).__name__}: {error}"
        return PromotionSummary(False, f"not promoted: the champion could not be read ({said})", reigning.version)
    return _by_recorded_errors(batch, reigning) if measured is None else _by_same_rows(reigning, measured)


def _of_other_ratings(reigning: RegisteredModel) -> PromotionSummary:
    dataset = reigning.tags.get("dataset", "unknown")
    return PromotionSummary(
        False,
        f"not promoted: the champion, version {reigning.version}, was trained on other ratings ({dataset}); set "
        f"tracking.registered_model to another name for these, or replace it by a batch that publishes (recobatch run)",
        reigning.version,
    )


def _by_same_rows(reigning: RegisteredModel, found: Comparison) -> PromotionSummary:
    verb, relation = ("promoted", "against") if found.is_better else ("not promoted", "no better than")
    return PromotionSummary(
        found.is_better,
        f"{verb}: MSE {found.mse:.4f} on {found.rows:,} test ratings new to both, {relation} {found.reigning_mse:.4f} "
        f"of the champion so far, version {reigning.version} (difference {found.mse - found.reigning_mse:+.4f} ± "
        f"{found.se:.4f})",
        reigning.version, found.rows, found.mse, found.reigning_mse, found.se,
    )  # fmt: skip


def _by_recorded_errors(batch: TrainedBatch, reigning: RegisteredModel) -> PromotionSummary:
    """For a champion of an earlier release, which was registered without its test part."""
    mse, recorded = batch.best.report.test.mse, reigning.tags.get("test_mse")
    reigning_mse = float("inf") if recorded is None else float(recorded)
    is_better = mse < reigning_mse
    verb, relation = ("promoted", "against") if is_better else ("not promoted", "no better than")
    return PromotionSummary(
        is_better,
        f"{verb}: test MSE {mse:.4f}, {relation} the recorded {reigning_mse:.4f} of the champion so far, version "
        f"{reigning.version} (each on its own test ratings: there are too few that are new to both)",
        reigning.version, None, mse, None if recorded is None else reigning_mse,
    )  # fmt: skip
