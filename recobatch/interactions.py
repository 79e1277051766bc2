"""Clean ratings: by raw id, by index, and split."""

import hashlib
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
        return type(self)(
            self.user_index[rows], self.item_index[rows], self.rating[rows], self.timestamp[rows],
            self.n_users, self.n_items,
        )  # fmt: skip

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
    def load(cls, path: Path) -> Self:
        """Inverse of ``save``."""
        with pq.ParquetFile(path) as file:
            columns = [np.empty(file.metadata.num_rows, kind) for kind in _KINDS.values()]
            start = 0
            for group in range(file.num_row_groups):  # one at a time: the whole table would take as much again
                table = file.read_row_group(group)
                for column, name in zip(columns, _KINDS, strict=True):
                    column[start : start + len(table)] = table[name].to_numpy()
                start += len(table)
            sizes = file.schema_arrow.metadata
        user_index, item_index, rating, timestamp = columns
        return cls(user_index, item_index, rating, timestamp, int(sizes[b"n_users"]), int(sizes[b"n_items"]))


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
    def load(cls, folder: Path) -> Self:
        """Inverse of ``save``."""
        names = [name for name in ("train", "test", "validation") if (folder / f"{name}.parquet").exists()]
        return cls(**{name: EncodedInteractions.load(folder / f"{name}.parquet") for name in names})
