"""Matrix products on one thread, whose bits do not depend on how many a BLAS has."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Event, Lock, Thread

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to the calling thread: shards run in parallel instead, and one thread always rounds the same way.

    The limit applies to the whole process, so entries are counted: the first sets it, the last exit removes it.
    """
    global _limit, _limited
    with _guard:
        _limit = _limit or _Limit()
        _limited += 1
    try:
        yield
    finally:
        with _guard:
            _limited -= 1
            if _limited == 0 and _limit:
                _limit.lift()
                _limit = None


class _Limit:
    """A thread that holds the limit: threadpoolctl silently ignores a thread that lifts the limit of another."""

    def __init__(self) -> None:
        self._set, self._lifted = Event(), Event()
        self._holder = Thread(target=self._hold, name="one-blas-thread", daemon=True)
        self._holder.start()
        self._set.wait()

    def _hold(self) -> None:
        try:
            with _blas().limit(limits=1, user_api="blas"):
                self._set.set()
                self._lifted.wait()
        finally:
            self._set.set()

    def lift(self) -> None:
        self._lifted.set()
        self._holder.join()


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # scans every loaded library; NumPy's BLAS is loaded by then


_guard = Lock()
_limit: _Limit | None = None
_limited = 0


def _forget_in_child() -> None:
    """The holder is a thread of the parent process, which a forked child does not have."""
    global _guard, _limit, _limited
    _guard, _limit, _limited = Lock(), None, 0


os.register_at_fork(after_in_child=_forget_in_child)
