"""The thread that sends the records of all runs."""

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any

from recobatch.tracking.connection import Connection
from recobatch.tracking.outbox import Journal, Record


class Sender:
    """Sends the records of all runs from one background thread, so that training never waits for a server."""

    def __init__(self, connection: Connection, deliver: Callable[[Journal, list[Record]], Mapping[str, Any]]) -> None:
        """Start the thread.

        Args:
            connection: Sending stops while it is lost.
            deliver: Sends records of one kind, returns the server's answers; raises if the server is unreachable.
        """
        self._connection = connection
        self._deliver = deliver
        self._submitted: queue.SimpleQueue[tuple[Journal, Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="mlflow-sender", daemon=True).start()

    def submit(self, journal: Journal) -> "Future[None]":
        """Have a journal's pending records sent; returns at once."""
        done: Future[None] = Future()
        self._submitted.put((journal, done))
        return done

    def flush(self, journal: Journal, seconds: float) -> bool:
        """Wait until a journal's records have arrived, or the server is lost, or the time is up.

        Returns:
            Whether all of them have arrived.
        """
        wait([self.submit(journal)], timeout=seconds)
        return not journal.pending()

    def _work(self) -> None:
        while True:
            journal, done = self._submitted.get()
            try:
                while self._connection.is_up and not journal.is_closed and (batch := journal.next_batch()):
                    journal.acknowledge(len(batch), **self._deliver(journal, batch))
            except Exception as error:  # noqa: BLE001 - a thread that ends would leave every later record unsent
                self._connection.lost(error)
            done.set_result(None)
