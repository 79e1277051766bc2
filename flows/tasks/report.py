"""Figures of every model and one page of the batch, written and logged to MLflow."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Job
from flows.outputs import Parts, Ratings, TrainedModel
from flows.settings.repeat import repeat_command
from recobatch import __version__
from recobatch.addresses import without_secrets
from recobatch.evaluation.evaluate import predict_rows
from recobatch.factors import FactorModel
from recobatch.interactions import Split
from recobatch.report import ModelResult, PublishedTable, ReportInputs, titles_by_index
from recobatch.storage.durable import is_disk_trouble, refusal
from recobatch.tracking.params import flatten_params
from recobatch.vocabulary import Vocabulary


@task(name="report", cache_policy=NO_CACHE)
def report_batch(
    job: Job, ratings: Ratings, parts: Parts, trained: Mapping[str, TrainedModel], champion: str, *,
    titles: pa.Table | None, table: PublishedTable | None, gate: str = "", command: str = "run",
) -> Path:  # fmt: skip
    """Draw every model's figures and the page of the batch, and log them to MLflow.

    Args:
        job: The batch.
        ratings: Its ratings.
        parts: Their split.
        trained: Its models, by name.
        champion: Name of the best of them.
        titles: ``item_id`` and ``title``, where there are any.
        table: The published table; None if nothing was published.
        gate: Why the gate refused it.
        command: Of ``recobatch``, to repeat the batch.

    Returns:
        The page, kept at ``.recobatch/reports/<batch_id>.html``.
    """
    # Lazy: they draw with matplotlib, which scoring on its own never needs.
    from recobatch.report.page import write_report

    with job.stage("report"), TemporaryDirectory() as scratch:
        split = parts.load()
        inputs = ReportInputs(
            batch_id=job.batch_id, created=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", champion=champion,
            models=[_model(model, split) for model in trained.values()], baselines=parts.baselines,
            data_name=ratings.source.name, data_source=without_secrets(ratings.source.uri), ingest=ratings.report,
            split=split, item_titles=titles_by_index(Vocabulary.load(ratings.folder / "items.parquet"), titles),
            table=table, gate=gate, settings=flatten_params(job.settings.model_dump(mode="json")),
            command=repeat_command(command, job.settings), code_version=__version__,
        )  # fmt: skip
        page = job.report_path(job.batch_id)
        for name, files in write_report(inputs, page, Path(scratch)).items():
            run = trained[name].run
            for file in files:
                run.log_file(file, "pictures")
            run.log_text(page.read_text(encoding="utf-8"), "report.html")
    job.tell("report", f"{page.relative_to(job.root)}")
    return page


def report_what_stands(job: Job, report: Callable[[], Path], outcome: str) -> dict[str, str]:
    """Write the report; log a warning if the disk has no room for it, since the batch itself is complete.

    Args:
        job: The batch.
        report: Writes the page.
        outcome: What is complete without it, for the warning.

    Returns:
        The path of the page, for the summary; nothing if it could not be written.
    """
    try:
        return {"report": str(report().relative_to(job.root))}
    except OSError as error:
        if not is_disk_trouble(error):
            raise
        where = Path(error.filename or job.root)
        get_run_logger().warning(refusal(error, "take the report", where, outcome=outcome))
        return {}


def _model(model: TrainedModel, split: Split) -> ModelResult:
    factors, test, history = FactorModel.load(model.folder / "factors.npz"), model.test, model.history
    return ModelResult(
        name=model.name, loss=history["loss"], val_loss=history["val_loss"],
        test_prediction=predict_rows(factors, split.test), item_factors=factors.item_factors,
        test_mse=test["mse"], test_rmse=test["rmse"], test_mae=test["mae"], train_seconds=history["seconds"],
        run_id=model.run.run_id, run_url=model.run.url,
    )  # fmt: skip


def published_table(result: Mapping[str, Any]) -> PublishedTable:
    """The summary's table, for the page."""
    table = result["table"]
    return PublishedTable(
        path=table["path"], champion_path=table["champion_path"], version=table["version"], rows=table["rows"],
        first_user=result["data"]["first_user"],
    )  # fmt: skip
