"""Sparse rows padded to equal lengths, so that one batched product serves many rows."""

from dataclasses import dataclass

import numpy as np

_SLOTS = 1 << 14
"""Slots of a bucket: what is gathered for them fits in the cache."""
_LANES = 4096
_WASTE = 1.25
"""A bucket's longest row has at most this many times the entries of its shortest."""


@dataclass(frozen=True, eq=False)
class Bucket:
    """Rows of similar length."""

    rows: np.ndarray
    """int64, shape ``(b,)``: row numbers."""
    columns: np.ndarray
    """int32, shape ``(b, length)``; ``n_columns`` where padded."""
    values: np.ndarray
    """float32, shape ``(b, length)``; 0 where padded."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A sparse matrix by buckets of rows; rows without entries are in no bucket."""

    buckets: tuple[Bucket, ...]
    n_rows: int
    n_columns: int
    counts: np.ndarray
    """int64, shape ``(n_rows,)``: entries of each row."""

    @classmethod
    def build(cls, row: np.ndarray, column: np.ndarray, value: np.ndarray, shape: tuple[int, int]) -> "Rows":
        """Sort entries into buckets.

        Args:
            row: Row of each entry, integers, shape ``(n,)``.
            column: Its column, integers, shape ``(n,)``.
            value: Its value, shape ``(n,)``.
            shape: Rows and columns of the matrix.
        """
        n_rows, n_columns = shape
        order = np.argsort(row, kind="stable")
        counts = np.bincount(row, minlength=n_rows).astype(np.int64)
        starts = np.cumsum(counts) - counts
        column, value = column[order].astype(np.int32), value[order].astype(np.float32)
        by_length = np.argsort(counts, kind="stable")
        by_length = by_length[counts[by_length] > 0]
        buckets = []
        for first, last in _cuts(counts[by_length]):
            rows = by_length[first:last]
            length = int(counts[rows[-1]])
            slot = np.arange(length)
            filled = slot < counts[rows][:, None]
            places = np.minimum(starts[rows][:, None] + slot, len(column) - 1)
            buckets.append(Bucket(
                rows, np.where(filled, column[places], np.int32(n_columns)),
                np.where(filled, value[places], np.float32(0)),
            ))  # fmt: skip
        return cls(tuple(buckets), n_rows, n_columns, counts)


def gather(matrix: np.ndarray, index: np.ndarray) -> np.ndarray:
    """``matrix[index]``, several times as fast: the indices are known to be in range."""
    return np.take(matrix, index, axis=0, mode="clip")


def _cuts(lengths: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of ascending lengths that make buckets."""
    cuts, first = [], 0
    while first < len(lengths):
        last = int(np.searchsorted(lengths, max(lengths[first] * _WASTE, lengths[first] + 2), side="right"))
        last = min(last, first + _LANES)
        while last > first + 1 and (last - first) * int(lengths[last - 1]) > _SLOTS:
            last = first + max(1, min(_SLOTS // int(lengths[last - 1]), last - first - 1))
        cuts.append((first, last))
        first = last
    return cuts
