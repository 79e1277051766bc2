"""Prefect's server goes away in mid-run: the run says so once, goes on, publishes, and does not wait for it.

Prefect itself would let the batch end, then fail it because its end cannot be noted, and try each queued event again
for seconds: five minutes and an exit code of 1 for a table that is published (measured with 3.8.8).
"""

import contextlib
import functools
import logging
import os
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from prefect import Flow
from prefect.events.clients import NullEventsClient, PrefectEventsClient
from prefect.events.worker import EventsWorker, emit_events_to_cloud
from prefect.exceptions import PrefectHTTPStatusError
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, get_current_settings

from recobatch.errors import RecobatchError

log = logging.getLogger("prefect.flows.outage")

_PAUSE_SECONDS = 2.0
_ANSWER_SECONDS = 5.0
_ATTEMPTS = 3
_BUSY_SECONDS = 10.0
"""At the start of a run: a server that is busy or just restarting is worth half a minute."""
_RECONNECTIONS = 1
"""Prefect tries ten times to send one event, a second apart."""
_away = threading.Event()
_retries = PREFECT_CLIENT_MAX_RETRIES.value()


def answers(api_url: str, seconds: float = _ANSWER_SECONDS) -> bool:
    """Whether anything answers at the address of a Prefect API; a refusal is an answer too."""
    try:
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(f"{api_url}/health", timeout=seconds, context=_any_certificate()).close()  # nosec B310
    except (OSError, ValueError):
        return False
    return True


def is_away() -> bool:
    """Whether the server of this run did not answer the last time it was asked."""
    return _away.is_set()


def require_server(api_url: str) -> None:
    """Make sure that the server that was named is there.

    Raises:
        RecobatchError: If it is not, or does not answer within half a minute.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(1)
        if answers(api_url, _BUSY_SECONDS):
            return
    raise RecobatchError(
        f"{api_url}: found no answer at this address, expected the Prefect server that PREFECT_API_URL names; "
        f"start that server, or unset PREFECT_API_URL to use one for this run alone"
    )


@contextlib.contextmanager
def server_watched() -> Iterator[None]:
    """Look every two seconds whether the server of this run is there; while it is not, send it nothing.

    Says in one line that it went, and in another that it came back.
    """
    api_url = PREFECT_API_URL.value()
    if not api_url or emit_events_to_cloud():
        yield
        return
    EventsWorker.set_client_override(PrefectEventsClient, reconnection_attempts=_RECONNECTIONS)
    ended = threading.Event()
    # A thread starts with an empty context, and the context is where Prefect keeps its settings.
    watch = functools.partial(copy_context().run, _watch, str(api_url), ended)
    thread = threading.Thread(target=watch, name="prefect-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_ANSWER_SECONDS)


def _watch(api_url: str, ended: threading.Event) -> None:
    was_up = not is_away()
    while not ended.wait(_PAUSE_SECONDS):
        # One missed answer may be a busy server; a second one is an absence.
        is_up = answers(api_url) or (was_up and not ended.wait(_PAUSE_SECONDS / 4) and answers(api_url))
        if is_up and not was_up:
            _send(is_up=True)
            log.warning("the Prefect server at %s answers again", api_url)
        elif was_up and not is_up and not ended.is_set():
            _send(is_up=False)
            log.warning("the Prefect server at %s does not answer; the run goes on without it", api_url)
        was_up = is_up


def _send(*, is_up: bool) -> None:
    """Let lines, events and calls go to the server, or drop them: each would hold up the run or its end."""
    if is_up:
        _away.clear()
        EventsWorker.set_client_override(PrefectEventsClient, reconnection_attempts=_RECONNECTIONS)
    else:
        _away.set()
        EventsWorker.set_client_override(NullEventsClient)
    get_current_settings().client.max_retries = _retries if is_up else 0
    for handler in _api_handlers():
        handler.removeFilter(_nothing)
        if not is_up:
            handler.addFilter(_nothing)


def _api_handlers() -> Iterator[APILogHandler]:
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    for logger in loggers:
        yield from (handler for handler in logger.handlers if isinstance(handler, APILogHandler))


def _nothing(_: logging.LogRecord) -> bool:
    return False


def run_to_its_end(flow: Flow[..., Any], **parameters: Any) -> Any:  # noqa: ANN401 - whatever the flow returns
    """Run a flow and return or raise what its own function does, even if Prefect cannot note how it ended.

    Raises:
        RecobatchError: As the flow raised it, or because the server went before the flow began.
    """
    end = _End()
    watched = flow.with_options()
    watched.fn = end.of(flow.fn)
    try:
        return watched(**parameters)
    except Exception as error:
        if error is end.error:
            raise
        if end.error is not None:
            raise end.error from error
        if not end.is_reached:
            raise _never_begun(error) from error
    finally:
        if is_away():
            _send(is_up=True)
    log.warning("the run is done, but the Prefect server could not be told: its page will say Running or Crashed")
    return end.result


def _never_begun(error: Exception) -> Exception:
    api_url = str(PREFECT_API_URL.value())
    require_server(api_url)
    if not isinstance(error, PrefectHTTPStatusError):
        return error
    return RecobatchError(
        f"{api_url}: found that the Prefect server refused to begin the run ({error.response.status_code} "
        f"{error.response.reason_phrase}), expected one that works; nothing was published; look at its log, or free "
        f"space if the disk of its database is full ({os.environ.get('PREFECT_HOME')} unless it runs elsewhere)"
    )


@dataclass
class _End:
    """How a flow's function ended."""

    is_reached: bool = False
    result: Any = None
    error: Exception | None = None

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose end is kept here."""

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - stands in for any function
            try:
                self.result = function(*args, **kwargs)
            except Exception as error:
                self.error = error
                raise
            self.is_reached = True
            return self.result

        return run


def _any_certificate() -> ssl.SSLContext:
    """Asks only whether somebody is there and tells nothing; Prefect's client checks the certificate as it is told."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
