"""An unreachable Prefect server neither ends nor delays a batch: the run continues without it and logs a warning.

Prefect itself would let the batch end, then fail it because its final state cannot be stored, and try each queued event
again for seconds: five minutes and an exit code of 1 for a table that is published (measured with 3.8.8).
"""

import contextlib
import copy
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from prefect import Flow
from prefect.events.clients import NullEventsClient, PrefectEventsClient
from prefect.events.worker import EventsWorker, emit_events_to_cloud
from prefect.exceptions import PrefectHTTPStatusError
from prefect.logging.handlers import APILogWorker, set_api_log_sink
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from flows.server.access import AUTH_STRING
from recobatch.addresses import without_secrets
from recobatch.errors import RecobatchError
from recobatch.probe import probe

log = logging.getLogger("prefect.flows.outage")

_ANSWER_SECONDS = 5.0
_ATTEMPTS = 3
_BUSY_SECONDS = 10.0
"""At the start of a run: a server that is busy or just restarting is worth half a minute."""
_RECONNECTIONS = 1
"""Prefect tries ten times to send one event, a second apart."""


def answers(api_url: str, seconds: float = _ANSWER_SECONDS) -> bool:
    """Whether anything answers at the address of a Prefect API; a refusal is an answer too."""
    try:
        probe(f"{without_secrets(api_url)}/health", seconds)
    except (OSError, ValueError):
        return False
    return True


def require_server(api_url: str) -> None:
    """Check that the server that was named answers.

    Raises:
        RecobatchError: If it does not within half a minute.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(1)
        if answers(api_url, _BUSY_SECONDS):
            return
    raise RecobatchError(
        f"{without_secrets(api_url)}: found no answer at this address, expected the Prefect server that "
        f"PREFECT_API_URL names; start that server, or unset PREFECT_API_URL to use one for this run alone"
    )


class _CircuitBreaker:
    """Sends log lines and events to the server of this run, and drops them while it does not answer.

    The server is probed when something is sent, at most every two seconds, or every thirty while it is unreachable.
    """

    _CLOSED_SECONDS, _OPEN_SECONDS, _PAUSE_SECONDS = 2.0, 30.0, 0.5

    def __init__(self, api_url: str | None) -> None:
        self._api_url = api_url and without_secrets(api_url)
        self._is_reachable = True
        self._probe_at = time.monotonic()
        self._probing = threading.Lock()
        self._let_events_through()

    def send_log(self, line: dict[str, Any]) -> None:
        if self.is_reachable():
            APILogWorker.instance().send(line)

    def is_reachable(self, *, now: bool = False) -> bool:
        # What the probe itself logs comes back here, as do the lines of other threads: neither waits for it.
        due = now or time.monotonic() >= self._probe_at
        if self._api_url and due and self._probing.acquire(blocking=False):
            try:
                self._probe(self._api_url)
            finally:
                self._probing.release()
        return self._is_reachable

    def _probe(self, api_url: str) -> None:
        before, self._is_reachable = self._is_reachable, answers(api_url)
        if before and not self._is_reachable:  # one missed answer may be a busy server
            time.sleep(self._PAUSE_SECONDS)
            self._is_reachable = answers(api_url)
        self._probe_at = time.monotonic() + (self._CLOSED_SECONDS if self._is_reachable else self._OPEN_SECONDS)
        if self._is_reachable and not before:
            self._let_events_through()
            log.warning("the Prefect server at %s answers again", api_url)
        elif before and not self._is_reachable:
            EventsWorker.set_client_override(NullEventsClient)
            log.warning("the Prefect server at %s is unreachable; the run continues without it", api_url)

    def _let_events_through(self) -> None:
        EventsWorker.set_client_override(PrefectEventsClient, reconnection_attempts=_RECONNECTIONS)


_breaker: _CircuitBreaker | None = None


def is_reachable(*, now: bool = False) -> bool:
    """Whether the server of this run answered its last probe.

    Args:
        now: Probe it again, however short a time ago that was: before a request that Prefect repeats for long.
    """
    return _breaker is None or _breaker.is_reachable(now=now)


@contextlib.contextmanager
def server_watched() -> Iterator[None]:
    """Within a flow: send log lines and events to the server of this run only while it answers.

    A warning is logged when it becomes unreachable, and another when it answers again.
    """
    global _breaker
    api_url = PREFECT_API_URL.value()
    if not api_url or emit_events_to_cloud():
        yield
        return
    _breaker = _CircuitBreaker(str(api_url))
    set_api_log_sink(_breaker.send_log)
    try:
        yield
    finally:
        _breaker.is_reachable()


def _close_breaker() -> None:
    """Send everything again: the next flow of this process may have another server."""
    global _breaker
    _breaker = None
    set_api_log_sink(None)
    EventsWorker.set_client_override(None)


@contextlib.contextmanager
def without_heartbeats() -> Iterator[None]:
    """Send no heartbeats: their thread ends up to a second late, and a server that ends with the run tells nobody."""
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        yield


def run_to_its_end(flow: Flow[..., Any], **parameters: Any) -> Any:  # noqa: ANN401 - whatever the flow returns
    """Run a flow and return or raise what its own function does, even if Prefect cannot store its final state.

    Raises:
        RecobatchError: As the flow raised it, or because the server became unreachable before the flow began.
    """
    with contextlib.ExitStack() as final_settings:
        outcome = _Outcome(final_settings)
        recorded = copy.copy(flow)
        recorded.fn = outcome.of(flow.fn)
        try:
            return recorded(**parameters)
        except Exception as error:
            if error is outcome.error:
                raise
            if outcome.error is not None:
                raise outcome.error from error
            if not outcome.is_reached:
                raise _never_begun(error) from error
        finally:
            _close_breaker()
    log.warning(
        "the run is done, but the Prefect server did not store its final state: its page shows Running or Crashed"
    )
    return outcome.result


def _never_begun(error: Exception) -> Exception:
    api_url = str(PREFECT_API_URL.value())
    require_server(api_url)
    if not isinstance(error, PrefectHTTPStatusError):
        return error
    shown = without_secrets(api_url)
    if error.response.status_code in (401, 403):
        return RecobatchError(
            f"{shown}: found that the Prefect server wants another password ({error.response.status_code} "
            f"{error.response.reason_phrase}), expected the one in PREFECT_API_AUTH_STRING; set it to the server's "
            f"name:password, which recobatch serve keeps in {AUTH_STRING} in its PREFECT_HOME"
        )
    return RecobatchError(
        f"{shown}: found that the Prefect server refused to begin the run ({error.response.status_code} "
        f"{error.response.reason_phrase}), expected one that works; nothing was published; look at its log, or free "
        f"space if the disk of its database is full ({os.environ.get('PREFECT_HOME')} unless it runs elsewhere)"
    )


@dataclass
class _Outcome:
    """What a flow's function returned or raised."""

    final_settings: contextlib.ExitStack
    """Closed after Prefect has stored the flow's final state."""
    is_reached: bool = False
    result: Any = None
    error: Exception | None = None

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose outcome is kept here."""

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - stands in for any function
            try:
                self.result = function(*args, **kwargs)
            except Exception as error:
                self.error = error
                raise
            finally:
                if not is_reachable():  # nor would it be at the second attempt to store the final state
                    self.final_settings.enter_context(temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}))
            self.is_reached = True
            return self.result

        return run
