"""Who computes the shards: threads of this process, or Dask's workers, on this machine or on a cluster."""

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.settings.tree import Settings
from recobatch import __version__
from recobatch.errors import BadSettings, RecobatchError

_WORKER_SECONDS = 60
"""How long a scheduler may have no worker; a cluster that scales from nothing needs a moment."""


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
        from distributed.security import Security
        from prefect_dask import DaskTaskRunner
    except ImportError as error:
        raise BadSettings(
            f"engine: found 'dask' and no {error.name}, expected the package; "
            f"install recobatch[dask], or pass --engine threads"
        ) from error
    logging.getLogger("distributed").setLevel(logging.WARNING)  # it logs every connection
    address = dask.config.get("scheduler-address", None)
    runner = (
        DaskTaskRunner(address=address)
        if address
        else DaskTaskRunner(
            cluster_kwargs={
                # By itself its page would be open to every machine around, at a port that one run at a time can have.
                "dashboard_address": "127.0.0.1:0",
                # Scheduler and workers run what they are sent, and any user of the machine can reach loopback.
                "security": Security.temporary(),
            }
        )
    )
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
    if address:
        _check_workers(runner.client, address)
    return runner


def _check_workers(client: Any, address: str) -> None:  # noqa: ANN401 - Dask has no types
    """Ask the workers what they are before anything is sent to them; one that comes later is checked by its first task.

    Dask sends Python's own bytecode, so another Python could not even read a task.
    """
    try:
        client.wait_for_workers(1, timeout=_WORKER_SECONDS)
    except TimeoutError as error:
        raise RecobatchError(
            f"engine dask: found no worker at {address} for {_WORKER_SECONDS} seconds, expected one; start "
            f"'dask worker {address}', then run again"
        ) from error
    expected = {"Python": platform.python_version().rpartition(".")[0], "recobatch": __version__}
    for worker, facts in client.get_versions(packages=["recobatch"])["workers"].items():
        found = {
            "Python": ".".join(facts["host"]["python"].split(".")[:2]),
            "recobatch": facts["packages"]["recobatch"],
        }
        for name, version in expected.items():
            if found[name] != version:
                raise RecobatchError(
                    f"engine dask: found {name} {found[name] or 'missing'} on the worker at {worker}, expected "
                    f"{version} as the run has; start every worker from the run's image, then run again"
                )


@contextmanager
def lost_workers_explained() -> Iterator[None]:
    """One line for work that Dask has given up, since every worker that had it died.

    Raises:
        RecobatchError: In place of Dask's error.
    """
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "KilledWorker":  # not imported where threads compute
            raise
        raise RecobatchError(
            "engine dask: found that several workers in turn died over the same shards, expected them to live; give "
            "each more memory (see its log), or lower score.rows_per_shard, then run again: it resumes"
        ) from error
