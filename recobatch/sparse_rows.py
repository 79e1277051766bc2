"""A sparse matrix by rows, and its product with a dense one in threads: every row has the same bits in any division."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

MANY_ROWS = 20_000
"""Of so many rows, those with few pairs are computed in batches of equal length: a call for each would take far longer
than its work. Fewer keep the bits that they always had."""
_SHORT = 64
"""Pairs up to which rows are multiplied in batches."""
_SLOTS = 1 << 14
"""Pairs of a batch: what is gathered for them fits in the cache."""
_ROWS_PER_CALL = 256
_PAIRS_FOR_THREADS = 1 << 18
"""With fewer pairs, whose rows are short work, threads wait for the interpreter's lock longer than they compute."""


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Row i has ``values[bounds[i]:bounds[i + 1]]`` in the columns ``columns[bounds[i]:bounds[i + 1]]``."""

    bounds: np.ndarray
    """int64, shape ``(n_rows + 1,)``."""
    columns: np.ndarray
    """int32, shape ``(n,)``."""
    values: np.ndarray
    """float32, shape ``(n,)``."""

    @classmethod
    def of(cls, rows: np.ndarray, columns: np.ndarray, values: np.ndarray, n_rows: int) -> "SparseRows":
        """From the row, column and value of each pair, in any order."""
        order = np.argsort(rows, kind="stable")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n_rows))])
        return cls(bounds, columns[order], values[order])

    @property
    def n_rows(self) -> int:
        return len(self.bounds) - 1

    @property
    def counts(self) -> np.ndarray:
        """Pairs of each row: int64, shape ``(n_rows,)``."""
        return np.diff(self.bounds)

    def take(self, chosen: np.ndarray) -> "SparseRows":
        """Some rows; ``chosen`` is a mask, bool, shape ``(n_rows,)``."""
        pairs = np.repeat(chosen, self.counts)
        bounds = np.concatenate([[0], np.cumsum(self.counts[chosen])])
        return SparseRows(bounds, self.columns[pairs], self.values[pairs])

    def are_short(self, longest: int) -> np.ndarray:
        """Which rows are computed in batches, those with at most ``longest`` pairs; none of few: a mask."""
        return self.counts <= longest if self.n_rows >= MANY_ROWS else np.zeros(self.n_rows, dtype=bool)

    def by_length(self, chosen: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Each number of pairs that occurs, and which of the chosen rows have it; those without pairs are left out."""
        counts = self.counts
        rows = np.flatnonzero(chosen & (counts > 0))
        rows = rows[np.argsort(counts[rows], kind="stable")]
        lengths, starts = np.unique(counts[rows], return_index=True)
        yield from zip(lengths.tolist(), np.split(rows, starts[1:]), strict=False)

    def pairs_of(self, rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns and values of rows that have ``length`` pairs each: shape ``(len(rows), length)``."""
        places = self.bounds[rows, None] + np.arange(length)
        return self.columns[places], self.values[places]

    def times(self, dense: np.ndarray) -> np.ndarray:
        """Product with ``dense``, float32, shape ``(n_columns, k)``."""
        product = np.zeros((self.n_rows, dense.shape[1]), dtype=np.float32)
        short = self.are_short(_SHORT)
        is_left = ~short & (self.counts > 0)

        def fill(part: slice) -> None:
            for row in np.flatnonzero(is_left[part]) + part.start:
                first, last = self.bounds[row], self.bounds[row + 1]
                np.dot(self.values[first:last], dense[self.columns[first:last]], out=product[row])

        def fill_short(rows: np.ndarray, length: int) -> None:
            columns, values = self.pairs_of(rows, length)
            product[rows] = np.matmul(values[:, None], np.take(dense, columns, axis=0, mode="clip"))[:, 0]

        in_blocks(fill, self)
        for length, rows in self.by_length(short):
            in_batches(fill_short, rows, length)
        return product


def in_blocks(work: Callable[[slice], None], rows: SparseRows) -> None:
    """Call ``work`` for consecutive ranges of rows, in threads if they have many pairs."""
    n_rows = rows.n_rows
    parts = [slice(start, min(start + _ROWS_PER_CALL, n_rows)) for start in range(0, n_rows, _ROWS_PER_CALL)]
    if len(rows.columns) < _PAIRS_FOR_THREADS:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(work, parts):
            pass


def in_batches(work: Callable[[np.ndarray, int], None], rows: np.ndarray, length: int) -> None:
    """Call ``work``, in threads, for batches of rows with ``length`` pairs each."""
    size = max(1, _SLOTS // length)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(lambda first: work(rows[first : first + size], length), range(0, len(rows), size)):
            pass
