"""Signals that stop the process: exceptions that are never lost, and the exit code of what they led to."""

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from types import FrameType

_SOON = 0.01
"""Seconds until a signal is raised again that was lost, or that came at a bad moment: it is over by then."""
_TAKING_A_LOCK = {
    (module.__file__, name)
    for module, name in (
        (threading, "__enter__"), (contextlib, "__enter__"), (logging, "acquire"), (logging, "_acquireLock"),
    )
}  # fmt: skip
"""Functions of Python that return with a lock: an exception between its acquisition and their end leaves it held."""


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
    """Let SIGTERM raise an exception as Ctrl-C does, and let neither be lost or leave a lock held.

    Where one strikes inside a finaliser or the callback of a weak reference, Python prints the exception and forgets
    it: the process would go on as if nobody had stopped it. Where one strikes while a lock is taken, such as that of a
    queue, the lock is never released: the process would wait for it at its end for ever.
    """
    signal.signal(signal.SIGTERM, _strike)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _strike)
    if getattr(sys.unraisablehook, "func", None) is not _raise_again:
        sys.unraisablehook = partial(_raise_again, sys.unraisablehook)


def signal_behind(error: BaseException | None) -> tuple[str, int] | None:
    """What stopped the process, and its exit code, if a signal led to ``error``.

    A signal that strikes inside a library may come out as whatever that library makes of it.
    """
    while error is not None and type(error).__name__ not in _SIGNALS:
        error = error.__cause__ or error.__context__
    return _SIGNALS[type(error).__name__][1:] if error is not None else None


def _strike(number: int, frame: "FrameType | None") -> None:
    if frame is not None and (frame.f_code.co_filename, frame.f_code.co_name) in _TAKING_A_LOCK:
        _strike_soon(number)
    elif number == signal.SIGINT:
        raise KeyboardInterrupt
    else:
        raise Terminated


def _strike_soon(number: int) -> None:
    # A timer and no thread: to start one takes locks that the interrupted code may hold.
    signal.signal(signal.SIGALRM, lambda _, frame: _strike(number, frame))
    signal.setitimer(signal.ITIMER_REAL, _SOON)


def _raise_again(otherwise: Callable[["UnraisableHookArgs"], Any], lost: "UnraisableHookArgs") -> None:
    if (stopping := _SIGNALS.get(lost.exc_type.__name__)) is None:
        otherwise(lost)
    else:
        _strike_soon(stopping[0])
