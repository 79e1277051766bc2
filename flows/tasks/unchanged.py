"""A batch that would publish what is published already, or what was rolled back."""

from collections.abc import Callable
from typing import Any

from prefect.logging import get_run_logger

from flows.job import Job
from flows.results import summary
from flows.results.page import show_result
from recobatch.table import Published


def published_already(
    job: Job, inputs: str, key: str, end: Callable[[Published], None] | None = None
) -> dict[str, Any] | None:
    """Tell of the published batch, if there is nothing to publish after it.

    That is so if it was made from the very same inputs and is whole, or if the table was pointed back to it from a
    version that was: what a person took out of the readers' sight does not come back by itself.

    Args:
        job: The batch.
        inputs: Fingerprint of what it would publish from.
        key: Of its result on the run's page.
        end: Brings the published batch to its end, should it not have come to it.

    Returns:
        The summary of the published batch, marked ``unchanged``; None where there is something to publish.
    """
    snapshot = job.table.current()
    if snapshot is None:
        return None
    if snapshot.manifest.inputs == inputs:
        if problems := job.table.damage():
            get_run_logger().warning("version %s is damaged and published again: %s", snapshot.version, problems[0])
            return None
        job.tell("compare", f"nothing new since version {snapshot.version}; it stands (--force publishes again)")
        job.table.clean()
        if end is not None:
            end(snapshot)
        return _stands(job, snapshot, key, {})
    if back := next((each.version for each in job.table.rolled_back() if each.inputs == inputs), None):
        get_run_logger().warning(
            "version %s was made from the same and was rolled back; version %s stands (--force publishes again)",
            back, snapshot.version,
        )  # fmt: skip
        job.table.clean()
        return _stands(job, snapshot, key, {"rolled_back": back})
    return None


def _stands(job: Job, snapshot: Published, key: str, why: dict[str, str]) -> dict[str, Any]:
    table = {"unchanged": True, "table": summary.of_table(job, snapshot), **summary.of_report(job, snapshot.version)}
    result = summary.closed(job, dict(snapshot.manifest.extra["summary"]) | table | why)
    show_result(job, key, result)
    return result
