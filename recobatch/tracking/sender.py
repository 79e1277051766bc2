"""One background thread that carries the records of all runs, so that training never waits for a server."""

import logging
import queue
import threading
from concurrent.futures import Future, wait

from recobatch.tracking.connection import Connection
from recobatch.tracking.delivery import Delivery, in_batches
from recobatch.tracking.spool import RunSpool

log = logging.getLogger("recobatch.tracking")

_REFUSALS = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"}
"""MLflow's codes for "never": trying again would be refused again."""


class Sender:
    """Takes journals in the order they are handed over; one at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._jobs: queue.SimpleQueue[tuple[RunSpool, Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="mlflow-sender", daemon=True).start()

    def submit(self, spool: RunSpool) -> "Future[None]":
        """Ask for a journal's pending records to be carried; returns at once."""
        done: Future[None] = Future()
        self._jobs.put((spool, done))
        return done

    def flush(self, spool: RunSpool, seconds: float) -> bool:
        """Wait until a journal's records have arrived, or the server is lost, or the time is up.

        Returns:
            Whether all of them have arrived.
        """
        wait([self.submit(spool)], timeout=seconds)
        return not spool.pending()

    def _work(self) -> None:
        while True:
            spool, done = self._jobs.get()
            try:
                self._carry(spool)
            except Exception as error:  # noqa: BLE001 - a thread that dies would leave every later record unsent
                self._connection.lost(error)
            done.set_result(None)

    def _carry(self, spool: RunSpool) -> None:
        delivery = Delivery(self._connection, spool)
        while self._connection.is_up and not spool.is_closed and (pending := spool.pending()):
            batch = next(in_batches(pending))
            try:
                state = delivery.deliver(batch, spool.state)
            except Exception as error:  # noqa: BLE001 - tracking must never stop a batch, whatever a server answers
                if _is_absence(error):
                    self._connection.lost(error)
                    return
                reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                log.warning("MLflow took no record of kind %s, it is left out (%s)", batch[0].kind, reason)
                state = spool.state
            spool.acknowledge(len(batch), state)


def _is_absence(error: Exception) -> bool:
    """Whether the server is at fault; else the record is, and is left out or it would block all after it."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return error.error_code not in _REFUSALS
    return isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
