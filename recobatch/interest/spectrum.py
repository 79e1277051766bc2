"""The largest singular vectors of a sparse matrix of weights, by passes over its rows: never a dense matrix. NumPy."""

from dataclasses import dataclass

import numpy as np

from recobatch.interest.rows import SparseRows

_OVERSAMPLED = 24
_PASSES = 4


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Right singular vectors and squared singular values of a users × items matrix, descending."""

    vectors: np.ndarray
    """float32, shape ``(n_items, rank)``, orthonormal columns."""
    squared: np.ndarray
    """float64, shape ``(rank,)``."""

    @classmethod
    def of(cls, by_user: SparseRows, by_item: SparseRows, rank: int, *, seed: int) -> "Spectrum":
        """Block power iterations (Halko, Martinsson & Tropp 2011, algorithm 4.4); exact at full rank.

        Args:
            by_user: The matrix by rows.
            by_item: Its transpose.
            rank: Number of vectors; at most the smaller side is used.
            seed: Seed of the start.
        """
        smaller = min(by_user.n_rows, by_item.n_rows)
        rank = min(rank, smaller)
        width = min(rank + _OVERSAMPLED, smaller)
        block = np.random.default_rng(seed).standard_normal((by_item.n_rows, width), dtype=np.float32)
        for _ in range(_PASSES):
            basis = np.linalg.qr(by_user.times(block))[0]
            block = by_item.times(basis)
        vectors, values, _ = np.linalg.svd(block, full_matrices=False)
        kept = values[:rank] > 1e-4 * max(values[0], 1e-30)
        return cls(np.ascontiguousarray(vectors[:, :rank][:, kept]), values[:rank][kept].astype(np.float64) ** 2)
