"""Signals that stop the process: exceptions that are never lost, and the exit code of what they led to."""

import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_SOON = 0.01
"""Seconds until a signal that was lost is raised again: out of the callback that lost it by then."""


class Terminated(BaseException):
    """SIGTERM, as an exception that no ``except Exception`` swallows."""


_INTERRUPTED, _TERMINATED = (signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)
_SIGNALS = {
    "KeyboardInterrupt": _INTERRUPTED,
    "Abort": _INTERRUPTED,  # click's
    "Terminated": _TERMINATED,
    "TerminationSignal": _TERMINATED,  # Prefect's
}
"""Name of an exception → the signal that it stands for, what to call that, and the exit code."""


def raise_on_signals() -> None:
    """Let SIGTERM raise an exception as Ctrl-C does, and let neither be lost.

    Where one strikes inside a finaliser or the callback of a weak reference, Python prints the exception and forgets
    it: the process would go on as if nobody had stopped it.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if getattr(sys.unraisablehook, "func", None) is not _raise_again:
        sys.unraisablehook = partial(_raise_again, sys.unraisablehook)


def signal_behind(error: BaseException | None) -> tuple[str, int] | None:
    """What stopped the process, and its exit code, if a signal led to ``error``.

    A signal that strikes inside a library may come out as whatever that library makes of it.
    """
    while error is not None and type(error).__name__ not in _SIGNALS:
        error = error.__cause__ or error.__context__
    return _SIGNALS[type(error).__name__][1:] if error is not None else None


def _terminate(_signal: int, _frame: object) -> None:
    raise Terminated


def _raise_again(otherwise: Callable[["UnraisableHookArgs"], Any], lost: "UnraisableHookArgs") -> None:
    if (stopping := _SIGNALS.get(lost.exc_type.__name__)) is None:
        otherwise(lost)
        return
    # A timer and no thread: to start one takes locks that the callback may hold.
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(stopping[0]))
    signal.setitimer(signal.ITIMER_REAL, _SOON)
