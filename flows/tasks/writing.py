"""What every flow that publishes does first and last, in one order."""

from collections.abc import Iterator
from contextlib import contextmanager

from flows.job import Services, closing
from flows.tasks.register import repair_aliases


@contextmanager
def writing_table(services: Services) -> Iterator[None]:
    """Lock the table until the MLflow runs have ended, and repair what an earlier run left.

    Raises:
        TableBusy: If another run holds the table.
    """
    with services.table.lock(holder=services.new_batch_id), closing(services):
        services.table.clean(keep_unfinished=not services.fresh)
        repair_aliases(services)
        yield
