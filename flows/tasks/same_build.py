"""What has to be the same wherever the shards of one table are computed: code, Python, vendors, settings."""

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy
import pyarrow

from flows import CODE
from flows.settings.sources import from_environment
from flows.settings.tree import Settings
from recobatch import __version__
from recobatch.errors import RecobatchError
from recobatch.storage.fingerprints import code_fingerprint

_SHAPING = {"score", "top"}
"""Sections that shape a shard whose model is given; the number of threads does not."""


@dataclass(frozen=True)
class Build:
    """What computes a shard."""

    python: str
    recobatch: str
    """Version and the first digits of the code's fingerprint."""
    numpy: str
    pyarrow: str

    @classmethod
    def here(cls) -> "Build":
        """That of this process."""
        python = platform.python_version().rpartition(".")[0]
        return cls(
            python, f"{__version__} ({code_fingerprint(CODE)[:8]})", numpy.__version__, pyarrow.__version__
        )  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What a worker has to be, as the run says; it travels with every group of shards."""

    build: Build
    settings: Mapping[str, Any]
    """``section.key`` → value."""

    @classmethod
    def of(cls, settings: Settings) -> "Expected":
        shaping = settings.model_dump(mode="json", include=_SHAPING, exclude={"score": {"threads"}})
        return cls(Build.here(), dict(_leaves(shaping)))

    def check(self) -> None:
        """Raise ``RecobatchError`` if this process is something else.

        Settings travel with the shards; a variable here that contradicts them shows a worker that was set up for
        another run.
        """
        here = Build.here()
        for each in fields(Build):
            found, expected = getattr(here, each.name), getattr(self.build, each.name)
            if found != expected:
                self._refuse(f"{each.name} {found}", f"{expected} as the run has; start it from the run's image")
        for key, value in _own_settings():
            if self.settings.get(key, value) != value:
                self._refuse(f"{key}={value!r} in its environment", f"{self.settings[key]!r} as the run has; unset it")

    def _refuse(self, found: str, expected: str) -> None:
        raise RecobatchError(f"found {found}, expected {expected}, then run again")


def _own_settings() -> list[tuple[str, Any]]:
    """What the variables of this process say of how shards are written."""
    given = from_environment(os.environ)
    shaping = {section: given[section] for section in _SHAPING if section in given}
    return [*_leaves(Settings.model_validate(shaping).model_dump(mode="json", exclude_unset=True))]


def _leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
