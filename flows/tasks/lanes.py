"""Two lanes of work side by side: one in this thread, one in another; a failure of either ends both."""

from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from threading import Event, Thread
from typing import TypeVar

from recobatch.errors import RecobatchError

_A = TypeVar("_A")
_B = TypeVar("_B")

_PATIENCE = 10.0
"""Seconds that a failure waits for the other lane to notice; its thread does not keep the process alive."""

_stop: ContextVar[Event | None] = ContextVar("stop", default=None)


class LaneStopped(RecobatchError):
    """The other lane failed."""


def check_lane() -> None:
    """Call it now and then from work in a lane.

    Raises:
        LaneStopped: If the other lane has failed.
    """
    if (stop := _stop.get()) is not None and stop.is_set():
        raise LaneStopped("stopped: found that the work beside it failed, expected both to end; see the first error")


def side_by_side(here: Callable[[], _A], beside: Callable[[], _B]) -> tuple[_A, _B]:
    """Run ``here`` in this thread, which receives signals, and ``beside`` in another one; returns both results.

    Raises:
        BaseException: What the lane that failed first raised, once the other has ended or ten seconds have passed.
    """
    stop, outcome = Event(), Future[_B]()

    def run() -> None:
        try:
            outcome.set_result(beside())
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            stop.set()
            outcome.set_exception(error)

    token = _stop.set(stop)
    try:
        # The context holds the flow run, the display and the signal to stop.
        thread = Thread(target=copy_context().run, args=(run,), name="lane", daemon=True)
        thread.start()
        return here(), outcome.result()
    except LaneStopped:
        raise outcome.exception() or LaneStopped("stopped") from None
    except BaseException:
        stop.set()
        thread.join(_PATIENCE)
        raise
    finally:
        _stop.reset(token)
