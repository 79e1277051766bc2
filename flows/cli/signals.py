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


class _Stopping(BaseException):
    """What a signal raises. If a library forgets it before the command line has seen it, the signal is raised again.

    Python code forgets one by ``except BaseException``, C code by clearing whatever error it finds.
    """

    number: int

    def __del__(self) -> None:
        if not _handled:
            _strike_soon(self.number)


class Interrupted(_Stopping, KeyboardInterrupt):
    """Ctrl-C."""

    number = signal.SIGINT


class Terminated(_Stopping):
    """SIGTERM, as an exception that no ``except Exception`` swallows."""

    number = signal.SIGTERM


_INTERRUPTED, _TERMINATED = ("interrupted", 130), ("terminated", 143)
_SIGNALS = {
    "KeyboardInterrupt": _INTERRUPTED,
    "Abort": _INTERRUPTED,  # click's
    "Terminated": _TERMINATED,
    "TerminationSignal": _TERMINATED,  # Prefect's
}
"""Name of an exception → what to call the signal behind it, and the exit code."""

_handled = False
"""Whether whoever catches a signal may forget it."""
_postponed: int = signal.SIGTERM
"""The signal that is raised again when the timer ends."""


def raise_on_signals() -> None:
    """Let SIGTERM raise an exception as Ctrl-C does, and let neither be lost or leave a lock held.

    Where one strikes inside a finaliser or the callback of a weak reference, Python prints the exception and forgets
    it: the process would go on as if nobody had stopped it. Where one strikes while a lock is taken, such as that of a
    queue, the lock is never released: the process would wait for it at its end for ever.
    """
    signal.signal(signal.SIGALRM, _strike_postponed)
    signal.signal(signal.SIGTERM, _raises(Terminated))
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raises(Interrupted))
    if getattr(sys.unraisablehook, "func", None) is not _raise_again:
        sys.unraisablehook = partial(_raise_again, sys.unraisablehook)


def raise_in_flows() -> None:
    """Let Prefect, which handles SIGTERM itself during a flow, raise an exception that is never lost either."""
    if signal.getsignal(signal.SIGALRM) is not _strike_postponed:
        return  # signals are the business of another command line, such as pytest's
    from prefect.exceptions import TerminationSignal
    from prefect.utilities import engine

    class FlowTerminated(_Stopping, TerminationSignal):
        number = signal.SIGTERM

        def __init__(self) -> None:
            super().__init__(signal=signal.SIGTERM)

    # Prefect knows its handler by this name.
    engine._prefect_sigterm_handler = _raises(FlowTerminated)  # type: ignore[assignment]


def signal_behind(error: BaseException | None) -> tuple[str, int] | None:
    """What stopped the process, and its exit code, if a signal led to ``error``, which counts as handled then.

    A signal that strikes inside a library may come out as whatever that library makes of it.
    """
    while error is not None:
        for kind in type(error).__mro__:
            if kind.__name__ in _SIGNALS:
                handled()
                return _SIGNALS[kind.__name__]
        error = error.__cause__ or error.__context__
    return None


def handled() -> None:
    """Let whoever catches a signal from now on, or has caught one, forget it."""
    global _handled
    _handled = True
    if signal.getsignal(signal.SIGALRM) is _strike_postponed:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _raises(error: type[_Stopping]) -> "Callable[[int, FrameType | None], None]":
    """A handler of a signal."""

    def strike(number: int, frame: "FrameType | None") -> None:
        if frame is not None and (frame.f_code.co_filename, frame.f_code.co_name) in _TAKING_A_LOCK:
            _strike_soon(number)
        else:
            raise error

    return strike


def _strike_soon(number: int) -> None:
    # A timer and no thread: to start one takes locks that the interrupted code may hold.
    global _postponed
    _postponed = number
    # Again and again: one that comes just before the code blocks in a system call would wait as long as the call does.
    signal.setitimer(signal.ITIMER_REAL, _SOON, _SOON)


def _strike_postponed(_: int, frame: "FrameType | None") -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    if callable(handler := signal.getsignal(_postponed)):
        handler(_postponed, frame)


def _raise_again(otherwise: Callable[["UnraisableHookArgs"], Any], lost: "UnraisableHookArgs") -> None:
    if isinstance(lost.exc_value, _Stopping):
        _strike_soon(lost.exc_value.number)
    else:
        otherwise(lost)
