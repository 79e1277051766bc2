"""Write a shard of a parquet table, and report its statistics."""

import hashlib
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.scoring.columns import with_field_ids
from recobatch.storage.durable import TEMPORARY, explained

DESCRIPTION = "description"
"""Key of a column's meaning in its metadata, as Arrow readers show it."""


@dataclass(frozen=True)
class ShardReport:
    """Statistics of a written shard, for the manifest and the gate."""

    path: Path
    rows: int
    bytes: int
    sha256: str
    """Of the whole file, as 64 hex digits; computed while it was written."""
    first_user: int
    """Index of the first user of the shard."""
    last_user: int
    """Index of the last user of the shard, inclusive."""
    min_prediction: float
    """In rating units; not a number if no prediction is finite."""
    max_prediction: float
    non_finite: int
    """Predictions that are infinite or not a number; a valid shard has none."""
    total: float
    """Sum of the finite predictions, in rating units."""
    squared_deviations: float
    """Sum of their squared differences from their mean; with ``total`` it gives the spread of any set of shards."""


@dataclass
class PredictionStats:
    """Sums over the predictions of a shard, gathered block by block."""

    low: float = math.inf
    high: float = -math.inf
    non_finite: int = 0
    total: float = 0.0
    finite: int = 0
    squared_deviations: float = 0.0
    """From the mean of the finite predictions: sums of squares would cancel where the mean is far above the spread."""

    def add(self, block: np.ndarray) -> None:
        """Add a block of predictions, float32, any shape; it must not be empty."""
        low, high = float(block.min()), float(block.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            finite = np.isfinite(block)
            self.non_finite += block.size - int(finite.sum())
            block = block[finite]
            if not block.size:
                return
            low, high = float(block.min()), float(block.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        near = np.float32(block.mean())
        rest = (block - near).ravel()  # exact for values near the mean
        total = float(rest.sum())
        self._merge(block.size, block.size * float(near) + total, float(np.dot(rest, rest)) - total**2 / block.size)

    def _merge(self, count: int, total: float, squared_deviations: float) -> None:
        """Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983, eq. 1.5b."""
        if self.finite:
            distance = total / count - self.total / self.finite
            squared_deviations += distance**2 * count * self.finite / (count + self.finite)
        self.finite += count
        self.total += total
        self.squared_deviations += squared_deviations

    def bounds(self) -> tuple[float, float]:
        """Least and greatest finite prediction, or two NaN where there is none."""
        return (self.low, self.high) if self.low <= self.high else (math.nan, math.nan)


def described(name: str, type_: pa.DataType, meaning: str) -> pa.Field:
    """A non-null column with its meaning as field metadata."""
    return pa.field(name, type_, nullable=False, metadata={DESCRIPTION: meaning})


@dataclass
class ShardFile:
    """A parquet file that appears under its name only when it is whole and on the disk."""

    path: Path
    """Where it will appear."""
    schema: pa.Schema
    writer: pq.ParquetWriter
    sink: "_HashingFile"
    stats: PredictionStats = field(default_factory=PredictionStats)
    rows: int = 0

    def write(self, table: pa.Table, *, row_group_size: int) -> None:
        """Append rows whose ``prediction`` was already given to ``stats``."""
        self.writer.write_table(table, row_group_size=row_group_size)
        self.rows += table.num_rows

    def report(self, users: slice) -> ShardReport:
        """Describe the finished file; call it after the ``open_shard`` block."""
        low, high = self.stats.bounds()
        return ShardReport(
            path=self.path, rows=self.rows, bytes=self.sink.written, sha256=self.sink.digest.hexdigest(),
            first_user=users.start, last_user=users.stop - 1, min_prediction=low, max_prediction=high,
            non_finite=self.stats.non_finite, total=self.stats.total,
            squared_deviations=self.stats.squared_deviations,
        )  # fmt: skip


@contextmanager
def open_shard(path: Path, schema: pa.Schema, encoding: Mapping[str, object]) -> Iterator[ShardFile]:
    """Write a shard under a temporary name; on success fsync it and rename it to ``path``.

    Unlike pyarrow's ``with ParquetWriter``, no valid-looking partial file remains if the body raises.

    Args:
        path: Where the shard appears; a file of that name is replaced.
        schema: Columns and key-value metadata.
        encoding: Compression and encodings: keyword arguments of ``pyarrow.parquet.ParquetWriter``.

    Raises:
        RecobatchError: If the file cannot be written: disk full, read-only, no permission, failing disk.
    """
    # Readers' folder scans skip names with a leading dot.
    unfinished = path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}")
    try:
        with explained("write the shard", path), unfinished.open("xb") as file, ThreadPoolExecutor(1) as writeback:
            sink = _HashingFile(file, writeback)
            stream = pa.BufferedOutputStream(pa.PythonFile(sink, mode="w"), _BUFFER_BYTES)
            schema = with_field_ids(schema)
            writer = pq.ParquetWriter(stream, schema, **encoding)
            try:
                shard = ShardFile(path, schema, writer, sink)
                yield shard
                writer.close()
                stream.close()
            except BaseException:
                with suppress(OSError):
                    writer.close()
                    stream.close()
                raise
            sink.sync()
            unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


_BUFFER_BYTES = 1 << 20
"""Few large writes: each one needs the interpreter's lock, for which the other shards wait."""


_SYNC_BYTES = 1 << 24
"""Written to the disk while the next are computed: otherwise a core would wait for a whole shard at its end."""


class _HashingFile:
    """The file methods that pyarrow needs; hashes the written bytes."""

    def __init__(self, file: BinaryIO, writeback: Executor) -> None:
        self.file = file
        self.digest = hashlib.sha256()
        self.written = 0
        self.closed = False
        self._writeback = writeback
        self._syncing: Future[None] | None = None
        self._synced = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.written += len(data)
        count = self.file.write(data)
        if self.written - self._synced >= _SYNC_BYTES and (self._syncing is None or self._syncing.done()):
            self._raise_failed()
            self._synced = self.written
            self._syncing = self._writeback.submit(os.fsync, self.file.fileno())
        return count

    def sync(self) -> None:
        """Return when everything is on the disk."""
        self.file.flush()
        self._raise_failed()
        os.fsync(self.file.fileno())

    def _raise_failed(self) -> None:
        # A failing disk is reported to one fsync only: to succeed, all must.
        if self._syncing is not None:
            self._syncing.result()

    def tell(self) -> int:
        return self.written

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.closed = True
