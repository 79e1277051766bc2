"""Who computes the shards: threads of this process, or Dask's workers, on this machine or on a cluster."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.settings.tree import Settings
from recobatch.errors import BadSettings, RecobatchError


@contextmanager
def shard_runner(settings: Settings) -> Iterator[TaskRunner[Any]]:
    """The chosen engine, started.

    Raises:
        BadSettings: If it is not installed.
        RecobatchError: If the cluster does not answer.
    """
    with ExitStack() as stack:
        if settings.engine == "dask":
            yield _dask(stack)
        else:
            threads = settings.score.threads or os.cpu_count() or 1
            yield stack.enter_context(ThreadPoolTaskRunner(max_workers=threads))


def _dask(stack: ExitStack) -> TaskRunner[Any]:
    """Workers of the cluster that Dask's own ``DASK_SCHEDULER_ADDRESS`` names, else of one that ends with the run."""
    try:
        import dask  # lazy: an optional extra
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise BadSettings(
            f"engine: found 'dask' and no {error.name}, expected the package; "
            f"install recobatch[dask], or pass --engine threads"
        ) from error
    logging.getLogger("distributed").setLevel(logging.WARNING)  # it logs every connection
    address = dask.config.get("scheduler-address", None)
    # By itself its page would be open to every machine around, at a port that one run at a time can have.
    own = {"dashboard_address": "127.0.0.1:0"}
    runner = DaskTaskRunner(address=address) if address else DaskTaskRunner(cluster_kwargs=own)
    stack.enter_context(runner)
    try:
        _ = runner.client  # connects, or starts the cluster
    except OSError as error:
        if address is None:
            raise
        raise RecobatchError(
            f"engine dask: found no scheduler at {address} ({error}), expected one; "
            f"start it, or unset DASK_SCHEDULER_ADDRESS"
        ) from error
    return runner
