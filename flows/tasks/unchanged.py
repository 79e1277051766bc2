"""A batch that would publish what is published already, or what was rolled back."""

from dataclasses import dataclass

from prefect.logging import get_run_logger

from flows.job import Services
from flows.results.page import show_result
from flows.results.summarize import summarize_unchanged
from flows.results.summary import BatchSummary
from recobatch.table import CatalogEntry, Published


@dataclass(frozen=True)
class Unchanged:
    """The published batch, after which there is nothing to publish."""

    snapshot: Published
    rolled_back: str | None = None
    """Version made from the same inputs, from which the table was pointed back to ``snapshot``."""


def find_unchanged(services: Services, inputs: str) -> Unchanged | None:
    """The published batch, if there is nothing to publish after it.

    That is so if it was made from the very same inputs and is whole, or if the table was pointed back to it from a
    version that was: what a person rolled back is not published again without ``--force``.

    Args:
        services: Of the run.
        inputs: Fingerprint of everything that would shape the table.

    Returns:
        None where there is something to publish.
    """
    table, log = services.table, get_run_logger()
    snapshot = table.current()
    if snapshot is None:
        return None
    if CatalogEntry.of(snapshot.manifest).is_made_from(inputs):
        if problems := table.damage():
            log.warning("version %s is damaged and published again: %s", snapshot.version, problems[0])
            return None
        message = f"nothing new since version {snapshot.version}; nothing is published (--force publishes again)"
        services.stages.log("compare", message)
        table.clean()
        return Unchanged(snapshot)
    if back := next((each.version for each in table.rolled_back() if each.is_made_from(inputs)), None):
        log.warning(
            "version %s was made from the same inputs and was rolled back; version %s stays current (--force publishes "
            "again)",
            back, snapshot.version,
        )  # fmt: skip
        table.clean()
        return Unchanged(snapshot, back)
    return None


def show_unchanged(services: Services, unchanged: Unchanged, key: str) -> BatchSummary:
    """Show the published batch as the result of this run; ``key`` is that of the page's artifact."""
    summary = summarize_unchanged(services, unchanged.snapshot, unchanged.rolled_back)
    show_result(services, key, summary)
    return summary
