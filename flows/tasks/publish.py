"""Swap the table's pointer to what was scored."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job
from flows.results.assets import describe_asset
from recobatch.table import ModelEntry, Published, Staging


@task(name="publish", cache_policy=NO_CACHE)
def publish(
    job: Job, staging: Staging, entries: Mapping[str, ModelEntry], champion: str, *, expected_rows: int,
    extra: Mapping[str, Any], titles: pa.Table | None,
) -> Published:  # fmt: skip
    """Check what was staged against the expected product, and swap the table's pointer."""
    with job.stage("publish"):
        snapshot = staging.publish(entries, champion=champion, expected_rows=expected_rows, extra=extra, titles=titles)
        job.table.retain(job.settings.table.keep)
    describe_asset(version=snapshot.version, champion=snapshot.champion, rows=snapshot.rows, batch_id=job.batch_id)
    told = f"version {snapshot.version} in {job.settings.table.path}"
    job.tell("publish", told, rows=sum(snapshot.rows.values()))
    return snapshot
