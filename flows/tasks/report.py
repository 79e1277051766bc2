"""Figures of every model and one page of the batch, written and logged to MLflow."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Job
from flows.outputs import TrainedBatch, TrainedModel
from flows.results.page import show_result
from flows.results.rankings import MeasuredList, headline, list_length, measured_lists
from flows.results.summarize import at_end, with_timings
from flows.results.summary import BatchSummary
from flows.settings.repeat import repeat_command
from recobatch import __version__
from recobatch.addresses import without_secrets
from recobatch.errors import GateRefused
from recobatch.evaluation.evaluate import predict_rows
from recobatch.factors import FactorModel
from recobatch.interactions import Split
from recobatch.report import CoverageResult, ListResult, ModelResult, PublishedTable, ReportInputs, titles_by_index
from recobatch.storage.durable import is_disk_trouble, refusal
from recobatch.tracking.params import flatten_params
from recobatch.vocabulary import Vocabulary


@task(name="report", cache_policy=NO_CACHE)
def report_batch(
    job: Job, batch: TrainedBatch, summary: BatchSummary, *, refused: str = "", command: str = "run"
) -> Path:
    """Draw every model's figures and the page of the batch, and log them to MLflow.

    Args:
        job: The batch.
        batch: Its models.
        summary: Its summary; without a table if nothing was published.
        refused: Why a gate refused it.
        command: Of ``recobatch``, to repeat the batch.

    Returns:
        The page, kept at ``.recobatch/reports/<batch_id>.html``.
    """
    # Lazy: they draw with matplotlib, which scoring on its own never needs.
    from recobatch.report.page import write_report

    with job.stages.timed("report"), TemporaryDirectory() as scratch:
        page = job.report_path(job.batch_id)
        inputs = _inputs(job, batch, summary, refused, command)
        for name, files in write_report(inputs, page, Path(scratch)).items():
            run = batch.models[name].run
            for file in files:
                run.log_file(file, "pictures")
            run.log_text(page.read_text(encoding="utf-8"), "report.html")
    job.stages.log("report", f"{page.relative_to(job.root)}")
    return page


def with_report(
    job: Job, batch: TrainedBatch, summary: BatchSummary, *, outcome: str, refused: str = "", command: str = "run"
) -> BatchSummary:
    """Report the batch; log a warning if the disk has no room for it, since the batch itself is complete.

    Args:
        job: The batch.
        batch: Its models.
        summary: Its summary.
        outcome: What is complete without the report, for the warning.
        refused: Why a gate refused it.
        command: Of ``recobatch``, to repeat the batch.

    Returns:
        The summary with the path of the page, unless it could not be written.
    """
    try:
        page = report_batch(job, batch, summary, refused=refused, command=command)
    except OSError as error:
        if not is_disk_trouble(error):
            raise
        where = Path(error.filename or job.root)
        get_run_logger().warning(refusal(error, "write the report", where, outcome=outcome))
        return with_timings(job, summary)
    return with_timings(job, replace(summary, report=str(page.relative_to(job.root))))


@contextmanager
def refusals_reported(
    job: Job, batch: TrainedBatch, summary: BatchSummary, key: str, *, command: str = "run"
) -> Iterator[None]:
    """Report a batch, and show it on the run's page, if a gate refuses it within the block.

    Args:
        job: The batch.
        batch: Its models.
        summary: Its summary.
        key: Of the page's artifact.
        command: Of ``recobatch``, to repeat the batch.
    """
    try:
        yield
    except GateRefused as error:
        refused, outcome = str(error), "the gate refused, without a report"
        summary = with_report(job, batch, summary, outcome=outcome, refused=refused, command=command)
        show_result(job, key, at_end(job, summary), refused=refused)
        raise


def _inputs(job: Job, batch: TrainedBatch, summary: BatchSummary, refused: str, command: str) -> ReportInputs:
    ratings, split = batch.ratings, batch.parts.load()
    items = Vocabulary.load(ratings.encoded.items_path)
    return ReportInputs(
        batch_id=job.batch_id, created=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", champion=batch.champion,
        models=[_model(model, split) for model in batch.models.values()], baselines=batch.parts.report.baselines,
        data_name=ratings.source.name, data_source=without_secrets(ratings.source.uri), ingest=ratings.report,
        split=split, item_titles=titles_by_index(items, ratings.titles()),
        table=_table(summary, ratings.first_user), gate=refused,
        settings=flatten_params(job.settings.model_dump(mode="json")),
        command=repeat_command(command, job.settings), code_version=__version__,
        lists=[_list(each) for each in measured_lists(summary)], lists_note=summary.rankings_note or "",
        coverage=_coverage(summary), left_out=batch.left_out,
    )  # fmt: skip


def _model(model: TrainedModel, split: Split) -> ModelResult:
    factors, test, history = FactorModel.load(model.files.judged), model.report.test, model.report.history
    return ModelResult(
        name=model.name, loss=history.loss, val_loss=history.val_loss,
        test_prediction=predict_rows(factors, split.test), item_factors=factors.item_factors,
        test_mse=test.mse, test_rmse=test.rmse, test_mae=test.mae, train_seconds=history.seconds,
        run_id=model.run.run_id, run_url=model.run.url, best_epoch=history.best_epoch,
    )  # fmt: skip


def _list(measured: MeasuredList) -> ListResult:
    figures = measured.figures
    ndcg, recall = headline(figures)
    return ListResult(
        measured.name, list_length([figures]) or 0, ndcg or 0.0, recall or 0.0, figures["popularity"],
        figures["coverage"], measured.is_published, measured.is_baseline, figures["by_user_activity"],
        figures["by_item_popularity"],
    )  # fmt: skip


def _coverage(summary: BatchSummary) -> CoverageResult | None:
    model = summary.models[summary.champion]
    if model.coverage_90 is None:
        return None
    return CoverageResult(
        summary.champion, model.coverage_90, model.interval_width or 0.0, model.sd_error_correlation or 0.0,
        model.coverage_90_by_user_activity or (), model.coverage_90_by_item_popularity or (),
    )  # fmt: skip


def _table(summary: BatchSummary, first_user: int | str) -> PublishedTable | None:
    if (table := summary.table) is None:
        return None
    return PublishedTable(table.path, table.champion_path, table.version, table.rows, first_user)
