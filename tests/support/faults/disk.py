"""A disk that kills, crashes or refuses at the n-th call that changes it."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from recobatch.scoring import shards

FULL_SWEEP = os.environ.get("FAULTS_SWEEP") == "full"
"""`make faults`: every write is struck as well, and every errno at every call."""
CALLS = ("fsync", "rename", "replace", "symlink", "unlink", "mkdir", "rmdir", "ftruncate", "pwrite")


def strikes(stride: int, first: int = 1) -> Iterator[int]:
    """Which calls or requests to strike: each in `make faults`; else one in ``stride``, from ``first`` on.

    Tests that strike the same calls in different ways begin at different ones, so that together they strike more.
    """
    return itertools.count(1) if FULL_SWEEP else itertools.count(first, stride)


class Crash(BaseException):
    """The process is dead from here on: no clean-up reaches the disk."""


@dataclass
class Disk:
    """Counts the calls that change the disk and acts at one of them."""

    strike: Callable[[], None] = lambda: None
    """What happens instead of the call."""
    at: int = 0
    """At which call, from 1; 0 for never."""
    for_good: bool = False
    """Whether it happens at every later call as well."""
    seen: list[str] = field(default_factory=list)

    def call(self, name: str) -> None:
        self.seen.append(name)
        if self.at and (len(self.seen) == self.at or (self.for_good and len(self.seen) > self.at)):
            self.strike()

    @contextmanager
    def mounted(self) -> Iterator["Disk"]:
        """Stand between the program and the operating system."""
        real = {name: getattr(os, name) for name in CALLS}
        write = shards._HashingFile.write
        try:
            for name, function in real.items():
                setattr(os, name, self._watched(name, function))
            if FULL_SWEEP:
                shards._HashingFile.write = self._watched("write", write)
            yield self
        finally:
            for name, function in real.items():
                setattr(os, name, function)
            shards._HashingFile.write = write

    def _watched(self, name, function):
        def watched(*args, **kwargs):
            self.call(name)
            return function(*args, **kwargs)

        return watched


def killing(at: int) -> Disk:
    return Disk(lambda: os.kill(os.getpid(), signal.SIGKILL), at)


def refusing(at: int, errno: int, *, for_good: bool = False) -> Disk:
    def refuse() -> None:
        raise OSError(errno, os.strerror(errno))

    return Disk(refuse, at, for_good)


def crashing(at: int) -> Disk:
    """For one process that plays many: after the crash nothing reaches the disk, not even clean-up."""

    def crash() -> None:
        raise Crash

    return Disk(crash, at, for_good=True)
