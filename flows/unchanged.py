"""A batch that would publish what is published already."""

from collections.abc import Callable
from typing import Any

from prefect.logging import get_run_logger

from flows import summary
from flows.job import Job
from flows.result_page import show_result
from recobatch.table import Published


def published_already(
    job: Job, inputs: str, key: str, end: Callable[[Published], None] | None = None
) -> dict[str, Any] | None:
    """Tell of the published batch, if it was made from the very same inputs and is whole.

    Args:
        job: The batch.
        inputs: Fingerprint of what it would publish from.
        key: Of its result on the run's page.
        end: Brings the published batch to its end, should it not have come to it.

    Returns:
        The summary of the published batch, marked ``unchanged``; None where there is something to publish.
    """
    snapshot = job.table.current()
    if snapshot is None or snapshot.manifest.extra.get("inputs") != inputs:
        return None
    if problems := job.table.damage():
        get_run_logger().warning("version %s is damaged and published again: %s", snapshot.version, problems[0])
        return None
    job.tell("compare", f"nothing new since version {snapshot.version}; it stands (--force publishes again)")
    job.table.clean()
    if end is not None:
        end(snapshot)
    before = dict(snapshot.manifest.extra["summary"])
    result = before | {"unchanged": True, "table": summary.of_table(job, snapshot)}
    result = summary.closed(job, result | summary.of_report(job, snapshot.version))
    show_result(job, key, result)
    return result
