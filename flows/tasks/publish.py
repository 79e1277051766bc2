"""Swap the table's pointer to the scored predictions."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from prefect import task
from prefect.assets import Asset
from prefect.cache_policies import NO_CACHE

from flows.job import Job
from flows.outputs import ToScore
from flows.results.assets import describe_asset, materializing, table_asset
from recobatch.scoring.uncertainty import current_calibration, item_table, user_table
from recobatch.table import ModelEntry, Published, Staging


@task(name="publish", cache_policy=NO_CACHE)
def publish(
    job: Job, staging: Staging, entries: Mapping[str, ModelEntry], champion: ToScore, *, expected_rows: int,
    extra: Mapping[str, Any], titles: pa.Table | None,
) -> Published:  # fmt: skip
    """Check the staged files against the expected product, and swap the table's pointer."""
    with job.stages.timed("publish"):
        loaded = champion.files.load()
        calibration = current_calibration(champion.files, loaded)
        snapshot = staging.publish(
            entries, champion=champion.name, expected_rows=expected_rows, extra=extra, titles=titles,
            users=user_table(loaded, calibration), items=item_table(loaded, calibration, titles),
            iceberg=job.settings.table.iceberg,
        )  # fmt: skip
        job.table.retain(job.settings.table.keep)
    describe_asset(version=snapshot.version, champion=snapshot.champion, rows=snapshot.rows, batch_id=job.batch_id)
    message = f"version {snapshot.version} in {job.settings.table.path}"
    job.stages.log("publish", message, rows=sum(snapshot.rows.values()))
    return snapshot


def publish_table(
    job: Job, staging: Staging, entries: Mapping[str, ModelEntry], champion: ToScore, *, expected_rows: int,
    extra: Mapping[str, Any], titles: pa.Table | None, made_from: Sequence[Asset],
) -> Published:  # fmt: skip
    """Publish the table as one of Prefect's assets.

    Args:
        job: The batch.
        staging: The scored predictions.
        entries: Their models by name.
        champion: The champion, which users.parquet and items.parquet are of.
        expected_rows: Predictions of each model.
        extra: JSON to keep in the manifest.
        titles: ``item_id`` and ``title``, where there are any.
        made_from: The assets that it was made from.
    """
    step = materializing(publish, table_asset(job.settings, job.root), made_from)
    return step(job, staging, entries, champion, expected_rows=expected_rows, extra=extra, titles=titles)
