"""A sparse matrix by rows, and its product with a dense one in threads: every row has the same bits in any division."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from recobatch.interest_users import grouped

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
        order, bounds = grouped(rows, n_rows)
        return cls(bounds, columns[order], values[order])

    @property
    def n_rows(self) -> int:
        return len(self.bounds) - 1

    def times(self, dense: np.ndarray) -> np.ndarray:
        """Product with ``dense``, float32, shape ``(n_columns, k)``."""
        product = np.zeros((self.n_rows, dense.shape[1]), dtype=np.float32)

        def fill(part: slice) -> None:
            for row in range(part.start, part.stop):
                first, last = self.bounds[row], self.bounds[row + 1]
                if first < last:
                    np.dot(self.values[first:last], dense[self.columns[first:last]], out=product[row])

        in_blocks(fill, self)
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
