"""What can happen to a tracked run, as records that survive the process."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from recobatch.addresses import masked


class EventKind(StrEnum):
    """The kinds of record, in the order in which a run usually meets them."""

    START = "start"
    RESUME = "resume"
    PARAMS = "params"
    DATASET = "dataset"
    METRICS = "metrics"
    TAGS = "tags"
    ARTIFACT = "artifact"
    MODEL = "model"
    REGISTER = "register"
    ALIAS = "alias"
    FINISH = "finish"


@dataclass(frozen=True)
class Event:
    """One record of a run."""

    kind: EventKind
    body: dict[str, Any]
    """JSON-able; files are named relative to the spool's folder."""
    at_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    """When it happened, Unix milliseconds: a record delivered late keeps its time."""

    def to_line(self) -> str:
        return json.dumps({"kind": self.kind, "at_ms": self.at_ms, "body": self.body})

    @classmethod
    def from_line(cls, line: str) -> Self:
        read = json.loads(line)
        return cls(EventKind(read["kind"]), read["body"], read["at_ms"])


@dataclass(frozen=True)
class RunState:
    """What the server has answered so far about one run."""

    run_id: str | None = None
    model_id: str | None = None
    version: int | None = None
    """Version in the registry."""
    finished: bool = False

    def learn(self, **answers: str | int | bool | None) -> Self:
        return replace(self, **answers)  # type: ignore[arg-type]


def flatten_params(params: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested settings as MLflow params: ``{"train": {"epochs": 5}}`` becomes ``{"train.epochs": "5"}``.

    Credentials in addresses are left out, characters that MLflow refuses in names become ``_``.
    """
    flat: dict[str, str] = {}
    for key, value in params.items():
        name = prefix + re.sub(r"[^\w\-. :/]", "_", str(key))
        if isinstance(value, Mapping):
            flat |= flatten_params(value, f"{name}.")
        else:
            flat[name] = masked(str(value))
    return flat
