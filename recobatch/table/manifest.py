"""The manifest of a snapshot: every file, every model, and a digest over itself."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from recobatch.errors import BadTable
from recobatch.scoring.shards import ShardReport

FORMAT = 1


@dataclass(frozen=True)
class ModelEntry:
    """One model's part of a snapshot, as the batch passes it to ``Staging.publish``."""

    name: str
    mlflow_run_id: str
    factors_fingerprint: str
    """Of the ``FactorModel`` that made the predictions."""
    users_fingerprint: str
    """Of the users' ``Vocabulary``."""
    items_fingerprint: str
    """Of the items' ``Vocabulary``."""
    shards: tuple[ShardReport, ...]
    """Every file under ``table/model=<name>``, by first user."""
    top: tuple[ShardReport, ...] = ()
    """Every file under ``top/model=<name>``, by first user."""

    @property
    def published(self) -> tuple[ShardReport, ...]:
        """The files that readers read first: those of every pair, else the lists."""
        return self.shards or self.top


@dataclass(frozen=True)
class FileEntry:
    """One file of a snapshot."""

    path: str
    """Relative to the snapshot's folder, with forward slashes."""
    rows: int
    """As its footer says; 0 for a file that is not parquet."""
    bytes: int
    """Its size."""
    sha256: str
    """Of the whole file, as 64 hex digits."""


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    name: str
    """As in the files."""
    type: str
    """As pyarrow spells it."""


@dataclass(frozen=True)
class ModelFacts:
    """What the manifest keeps of a model."""

    mlflow_run_id: str
    """The MLflow run that holds the model."""
    factors_fingerprint: str
    """Of the factors that made the predictions; the same factors give the same predictions."""
    users_fingerprint: str
    """Of the ids of the users, in their order."""
    items_fingerprint: str
    """Of the ids of the items, in their order."""
    rows: int
    """Predictions: users × items, or those of the lists where the snapshot has nothing else."""
    non_finite: int
    """Predictions that are infinite or not a number: 0, or the gate would have refused them."""
    min_prediction: float | None
    """The least, in rating units."""
    max_prediction: float | None
    """The greatest, in rating units."""
    mean_prediction: float | None
    """Mean of all predictions, in rating units."""
    sd_prediction: float | None
    """Spread of all predictions, in rating units; this and the mean show drift between batches."""

    @classmethod
    def of(cls, entry: ModelEntry) -> "ModelFacts":
        shards = entry.published
        rows, non_finite = sum(s.rows for s in shards), sum(s.non_finite for s in shards)
        mean, sd = _mean_and_sd(shards)
        return cls(
            entry.mlflow_run_id, entry.factors_fingerprint, entry.users_fingerprint, entry.items_fingerprint,
            rows, non_finite,
            _number(min((s.min_prediction for s in shards), default=math.nan)),
            _number(max((s.max_prediction for s in shards), default=math.nan)),
            _number(mean), _number(sd),
        )  # fmt: skip


def _mean_and_sd(shards: Sequence[ShardReport]) -> tuple[float, float]:
    """Of all finite predictions, in rating units; NaN where there is none."""
    counted = [(shard, shard.rows - shard.non_finite) for shard in shards if shard.rows > shard.non_finite]
    if not counted:
        return math.nan, math.nan
    finite = sum(count for _, count in counted)
    mean = sum(shard.total for shard, _ in counted) / finite
    squares = sum(shard.squared_deviations + count * (shard.total / count - mean) ** 2 for shard, count in counted)
    return mean, math.sqrt(squares / finite)


@dataclass(frozen=True)
class Manifest:
    """Everything needed to check a snapshot and to trace it to its models."""

    version: str
    """Name of the snapshot's folder, and part of every file's name."""
    sequence: int
    """Grows by one with every publish; clocks may be set back, this is not."""
    created: str
    """UTC, ISO 8601."""
    champion: str
    """Name of the model that ``champion`` points at."""
    columns: tuple[Column, ...]
    """Of every file under ``table/``, or under ``top/`` where there is nothing else."""
    models: Mapping[str, ModelFacts]
    """By name."""
    files: tuple[FileEntry, ...]
    """Every file of the snapshot but this one."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Whatever the batch wants to keep with the snapshot; JSON."""
    parent: str | None = None
    """The version that was current when this one was published; null for the first, missing in earlier releases."""

    @property
    def inputs(self) -> str | None:
        """Fingerprint of what the snapshot was made from, where the batch keeps one in ``extra``."""
        return self._noted("inputs")

    @property
    def scored(self) -> str | None:
        """Likewise, of what its models make the same snapshot from without being trained again."""
        return self._noted("scored")

    def _noted(self, name: str) -> str | None:
        value = self.extra.get(name)
        return None if value is None else str(value)

    @property
    def main(self) -> Literal["table", "top"]:
        """The folder that readers read first: ``table`` with every pair, or ``top`` where there are only lists."""
        folders = {entry.path.partition("/")[0] for entry in self.files}
        return "top" if "top" in folders and "table" not in folders else "table"

    def dump(self) -> bytes:
        """The manifest as JSON that carries a digest of itself."""
        content = {"format": FORMAT} | asdict(self)
        return json.dumps(content | {"digest": _digest(content)}, indent=2, allow_nan=False).encode() + b"\n"

    @classmethod
    def load(cls, text: bytes, where: str) -> "Manifest":
        """Read a manifest; ``where`` it lies is for the message.

        Raises:
            BadTable: If it is unreadable, of another format, or was edited.
        """
        try:
            content = json.loads(text)
            recorded = content.pop("digest")
            if content.pop("format") != FORMAT or recorded != _digest({"format": FORMAT} | content):
                raise BadTable(
                    f"{where}: found a manifest that differs from its own digest, it was edited by hand or by another "
                    f"release; expected one as recobatch wrote it; restore it, or roll back to another snapshot"
                )
            return cls(**content | {
                "columns": tuple(Column(**column) for column in content["columns"]),
                "models": {name: ModelFacts(**facts) for name, facts in content["models"].items()},
                "files": tuple(FileEntry(**file) for file in content["files"]),
            })  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadTable(
                f"{where}: found no readable manifest ({error}), expected one as recobatch wrote it; "
                f"restore it, or roll back to another snapshot"
            ) from error


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None
