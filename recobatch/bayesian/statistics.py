"""What the ratings say about each row's vector, given the vectors of the other side."""

from dataclasses import dataclass

import numpy as np

from recobatch.bayesian.rows import Bucket, Rows, gather
from recobatch.bayesian.threads import Threads


@dataclass(frozen=True, eq=False)
class RowStatistics:
    """Sums over the ratings of each of n rows, each rating times its precision: the row's times the column's weight."""

    gram: np.ndarray
    """``Σ qqᵀ``, float32, shape ``(n, d, d)``; q ends with the 1 of the bias."""
    right: np.ndarray
    """``Σ q (rating - c)``, float32, shape ``(n, d)``; c is the other side's bias."""
    squares: np.ndarray
    """``Σ (rating - c)²``, float64, shape ``(n,)``."""


def row_statistics(
    ratings: Rows, other: np.ndarray, precision: np.ndarray, weights: np.ndarray, threads: Threads
) -> RowStatistics:
    """Sum over the ratings of each row.

    Args:
        ratings: The rows; a column is a row of the other side.
        other: Vectors of the other side, the bias last: float32, shape ``(m, d)``.
        precision: Of the noise of each row, shape ``(n,)``.
        weights: Factor of the precision for each column, shape ``(m,)``.
        threads: Where the buckets are summed.
    """
    count, d = ratings.n_rows, other.shape[1]
    lines = _lines(other, weights)
    found = RowStatistics(np.zeros((count, d, d), np.float32), np.zeros((count, d), np.float32), np.zeros(count))

    def fill(bucket: Bucket) -> None:
        gathered = gather(lines, bucket.columns)
        centred = gathered[..., 0] + bucket.values * gathered[..., d]
        gathered[..., 0] = gathered[..., d + 1] = centred
        # Two views that differ by a column: of a matrix and itself numpy would use syrk, slower for so few columns.
        sums = np.matmul(gathered[..., :-1].transpose(0, 2, 1), gathered[..., 1:])
        sums *= precision[bucket.rows, None, None].astype(np.float32)
        found.gram[bucket.rows] = sums[:, 1:, :d]
        found.right[bucket.rows] = sums[:, 0, :d]
        found.squares[bucket.rows] = sums[:, 0, d]

    threads.each(fill, ratings.buckets)
    return found


def _lines(other: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``(-c, q, 1, -c)`` for each row of the other side, times the root of its weight; zeros for the padding."""
    d = other.shape[1]
    lines = np.zeros((len(other) + 1, d + 2), dtype=np.float32)
    lines[:-1, 1:d] = other[:, :-1]
    lines[:-1, d] = 1
    lines[:-1, 0] = lines[:-1, d + 1] = -other[:, -1]
    lines[:-1] *= np.sqrt(weights).astype(np.float32)[:, None]
    return lines
