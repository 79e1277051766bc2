"""Clean ratings: by raw id, by index, and split."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

RAW_COLUMNS = ("user_id", "item_id", "rating", "timestamp")
"""Columns of clean ratings: int64 or string ids, float32 rating, int64 timestamp in seconds (null if unknown)."""

_KINDS = {"user_index": "int32", "item_index": "int32", "rating": "float32", "timestamp": "int64"}
_ROWS_AT_ONCE = 1 << 24
_PACKED = ("user_index", "item_index", "timestamp")
"""Integer columns stored as deltas: half the size of a dictionary, and twice as fast to write and to read."""


@dataclass(frozen=True, eq=False)
class EncodedInteractions:
    """Ratings by index, in the order of their file."""

    user_index: np.ndarray
    """int32, shape ``(n,)``, within ``[0, n_users)``."""
    item_index: np.ndarray
    """int32, shape ``(n,)``, within ``[0, n_items)``."""
    rating: np.ndarray
    """float32, shape ``(n,)``, in rating units."""
    timestamp: np.ndarray
    """int64, shape ``(n,)``, Unix seconds; -1 where unknown."""
    n_users: int
    n_items: int

    def __len__(self) -> int:
        return len(self.rating)

    def take(self, rows: np.ndarray) -> Self:
        """The chosen rows (boolean mask or indices), over the same users and items."""
        user_index, rating = self.user_index[rows], self.rating[rows]
        if self.timestamp.strides == (0,):  # times that were not loaded: a copy would fill memory with one value
            timestamp = np.broadcast_to(np.int64(-1), len(rating))
        else:
            timestamp = self.timestamp[rows]
        return type(self)(user_index, self.item_index[rows], rating, timestamp, self.n_users, self.n_items)

    def by_pair(self) -> Self:
        """The same ratings in the order of users, then items, which all that groups them by user is faster with."""
        return self.take(np.argsort(self.user_index.astype(np.int64) * self.n_items + self.item_index, kind="stable"))

    def user_counts(self) -> np.ndarray:
        """Ratings of every user: int64, shape ``(n_users,)``."""
        return count_by(self.user_index, self.n_users)

    def item_counts(self) -> np.ndarray:
        """Ratings of every item: int64, shape ``(n_items,)``."""
        return count_by(self.item_index, self.n_items)

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 over all columns and the two sizes, as 64 hex digits."""
        digest = hashlib.sha256(f"{self.n_users}x{self.n_items}:{len(self)}:".encode())
        for column in (self.user_index, self.item_index, self.rating, self.timestamp):
            digest.update(np.ascontiguousarray(column).data)
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the four columns as parquet, with the sizes in its metadata."""
        with InteractionsWriter(path, self.n_users, self.n_items) as writer:
            writer.write(self)

    @classmethod
    def load(cls, path: Path, *, times: bool = True) -> Self:
        """Inverse of ``save``; without ``times``, which are two fifths of the memory, all are unknown."""
        with pq.ParquetFile(path) as file:
            n_rows, sizes = file.metadata.num_rows, file.schema_arrow.metadata
            columns = read_columns(file, [name for name in _KINDS if times or name != "timestamp"])
        timestamp = columns["timestamp"] if times else np.broadcast_to(np.int64(-1), n_rows)
        return cls(
            columns["user_index"], columns["item_index"], columns["rating"], timestamp, int(sizes[b"n_users"]),
            int(sizes[b"n_items"]),
        )  # fmt: skip

    @classmethod
    def blocks(cls, path: Path) -> Iterator[Self]:
        """As ``load``, one row group of a million ratings or less at a time."""
        with pq.ParquetFile(path) as file:
            sizes = file.schema_arrow.metadata
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                user_index, item_index, rating, timestamp = (table[name].to_numpy() for name in _KINDS)
                yield cls(user_index, item_index, rating, timestamp, int(sizes[b"n_users"]), int(sizes[b"n_items"]))


def count_by(index: np.ndarray, size: int) -> np.ndarray:
    """Occurrences of every index below ``size``, as ``np.bincount``, which would copy all of them as int64."""
    counts = np.zeros(size, dtype=np.int64)
    for start in range(0, len(index), _ROWS_AT_ONCE):
        counts += np.bincount(index[start : start + _ROWS_AT_ONCE], minlength=size)
    return counts


def read_columns(file: pq.ParquetFile, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Some columns of a file of ``EncodedInteractions``, by name."""
    columns = {name: np.empty(file.metadata.num_rows, _KINDS[name]) for name in names}
    start = 0
    for group in range(file.num_row_groups):  # one at a time: the whole table would take as much again
        table = file.read_row_group(group, columns=list(names))
        for name, column in columns.items():
            column[start : start + len(table)] = table[name].to_numpy()
        start += len(table)
    return columns


class InteractionsWriter:
    """Writes ratings block by block, as ``EncodedInteractions.save`` does."""

    def __init__(self, path: Path, n_users: int, n_items: int) -> None:
        kinds = {name: pa.from_numpy_dtype(kind) for name, kind in _KINDS.items()}
        self._schema = pa.schema(kinds, metadata={"n_users": str(n_users), "n_items": str(n_items)})
        self._file = pq.ParquetWriter(
            path, self._schema, compression="zstd", compression_level=1, use_dictionary=["rating"],
            column_encoding=dict.fromkeys(_PACKED, "DELTA_BINARY_PACKED"),
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def write(self, block: EncodedInteractions) -> None:
        """Add ratings."""
        columns = [block.user_index, block.item_index, block.rating, block.timestamp]
        self._file.write_table(pa.table([pa.array(column) for column in columns], schema=self._schema))


@dataclass(frozen=True, eq=False)
class Split:
    """Disjoint parts of one set of interactions, which together are the whole set."""

    train: EncodedInteractions
    test: EncodedInteractions
    validation: EncodedInteractions | None = None
    """Third part of a three-way split, for early stopping and for the choice of the champion."""

    @property
    def parts(self) -> dict[str, EncodedInteractions]:
        """Name of a part → its ratings."""
        parts = {"train": self.train, "test": self.test}
        return parts if self.validation is None else parts | {"validation": self.validation}

    def save(self, folder: Path) -> None:
        """Write ``train.parquet``, ``test.parquet`` and, with a validation part, ``validation.parquet``."""
        for name, part in self.parts.items():
            part.save(folder / f"{name}.parquet")

    @classmethod
    def load(cls, folder: Path, *, times: bool = True) -> Self:
        """Inverse of ``save``; ``times`` as in ``EncodedInteractions.load``."""
        names = [name for name in ("train", "test", "validation") if (folder / f"{name}.parquet").exists()]
        return cls(**{name: EncodedInteractions.load(folder / f"{name}.parquet", times=times) for name in names})
