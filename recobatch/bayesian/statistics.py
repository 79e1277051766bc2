"""What the ratings say about each row's vector, given the vectors of the other side."""

from dataclasses import dataclass

import numpy as np

from recobatch.bayesian.rows import Bucket, Rows
from recobatch.bayesian.threads import Threads


@dataclass(frozen=True, eq=False)
class RowStatistics:
    """Sums over the ratings of each of n rows, times the noise precision alpha."""

    gram: np.ndarray
    """``alpha Σ qqᵀ``, float32, shape ``(n, d, d)``; q ends with the 1 of the bias."""
    right: np.ndarray
    """``alpha Σ q (rating - c)``, float32, shape ``(n, d)``; c is the other side's bias."""
    squares: np.ndarray
    """``alpha Σ (rating - c)²``, float64, shape ``(n,)``."""


def row_statistics(ratings: Rows, other: np.ndarray, alpha: float, threads: Threads) -> RowStatistics:
    """Sum over the ratings of each row.

    Args:
        ratings: The rows; a column is a row of the other side.
        other: Vectors of the other side, the bias last: float32, shape ``(m, d)``.
        alpha: Precision of the ratings' noise.
        threads: Where the buckets are summed.
    """
    count, d = ratings.n_rows, other.shape[1]
    lines = _lines(other)
    found = RowStatistics(np.zeros((count, d, d), np.float32), np.zeros((count, d), np.float32), np.zeros(count))
    scale = np.float32(alpha)

    def fill(bucket: Bucket) -> None:
        gathered = lines[bucket.columns]
        gathered[..., d] += bucket.values
        sums = np.matmul(gathered.transpose(0, 2, 1), gathered)
        found.gram[bucket.rows] = scale * sums[:, :d, :d]
        found.right[bucket.rows] = scale * sums[:, :d, d]
        found.squares[bucket.rows] = alpha * sums[:, d, d]

    threads.each(fill, ratings.buckets)
    return found


def _lines(other: np.ndarray) -> np.ndarray:
    """``(q, 1, -c)`` for each row of the other side, and zeros for the padding."""
    d = other.shape[1]
    lines = np.zeros((len(other) + 1, d + 1), dtype=np.float32)
    lines[:-1, : d - 1] = other[:, :-1]
    lines[:-1, d - 1] = 1
    lines[:-1, d] = -other[:, -1]
    return lines
