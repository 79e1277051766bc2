"""The largest singular vectors of a sparse matrix of weights, by passes over its rows. NumPy only."""

from dataclasses import dataclass

import numpy as np

from recobatch.sparse_rows import SparseRows

LARGEST_EXACT = 2048
"""Rows or columns, whichever are fewer, up to which the singular vectors are computed exactly."""
_EXACT_PRODUCTS = 2e10
"""Multiplications of the Gram matrix up to which it is computed: about a second."""
_OVERSAMPLED = 24
_PASSES = 4
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Right singular vectors and squared singular values of a users × items matrix, descending."""

    vectors: np.ndarray
    """float32, shape ``(n_items, rank)``, orthonormal columns."""
    squared: np.ndarray
    """float64, shape ``(rank,)``."""

    @classmethod
    def of(cls, by_user: SparseRows, by_item: SparseRows, rank: int, *, seed: int) -> "Spectrum":
        """Exact where the smaller side allows it, by block power iterations elsewhere.

        Args:
            by_user: The matrix by rows.
            by_item: Its transpose.
            rank: Number of vectors; at most the smaller side is used.
            seed: Seed of the start of the power iterations; the exact way needs none.
        """
        smaller, larger = sorted((by_user.n_rows, by_item.n_rows))
        if smaller <= LARGEST_EXACT and float(smaller) ** 2 * larger <= _EXACT_PRODUCTS:
            return _exact(by_user, by_item, min(rank, smaller))
        return _approximate(by_user, by_item, min(rank, smaller), seed)


def _exact(by_user: SparseRows, by_item: SparseRows, rank: int) -> Spectrum:
    """From the eigenvectors of the smaller of the two Gram matrices."""
    of_users = by_user.n_rows <= by_item.n_rows
    values, vectors = np.linalg.eigh(_gram(by_item if of_users else by_user, min(by_user.n_rows, by_item.n_rows)))
    values, vectors = values[::-1][:rank], vectors[:, ::-1][:, :rank]
    kept = values > 1e-6 * max(values[0], 1e-30)  # the rest is rounding
    squared, vectors = values[kept], np.ascontiguousarray(vectors[:, kept], dtype=np.float32)
    if of_users:
        vectors = by_item.times(vectors) / np.sqrt(squared).astype(np.float32)
    return Spectrum(vectors, squared)


def _gram(rows: SparseRows, n_columns: int) -> np.ndarray:
    """Sum over the rows of their outer products: float64, shape ``(n_columns, n_columns)``."""
    gram = np.zeros((n_columns, n_columns))
    for first in range(0, rows.n_rows, _ROWS_AT_ONCE):
        bounds = rows.bounds[first : first + _ROWS_AT_ONCE + 1]
        dense = np.zeros((len(bounds) - 1, n_columns), dtype=np.float32)
        chosen = slice(bounds[0], bounds[-1])
        dense[np.repeat(np.arange(len(dense)), np.diff(bounds)), rows.columns[chosen]] = rows.values[chosen]
        gram += dense.T @ dense
    return gram


def _approximate(by_user: SparseRows, by_item: SparseRows, rank: int, seed: int) -> Spectrum:
    """Block power iterations (Halko, Martinsson & Tropp 2011, algorithm 4.4); never a dense matrix."""
    width = min(rank + _OVERSAMPLED, by_user.n_rows, by_item.n_rows)
    block = np.random.default_rng(seed).standard_normal((by_item.n_rows, width), dtype=np.float32)
    for _ in range(_PASSES):
        basis = np.linalg.qr(by_user.times(block))[0]
        block = by_item.times(basis)
    vectors, values, _ = np.linalg.svd(block, full_matrices=False)
    kept = values[:rank] > 1e-4 * max(values[0], 1e-30)
    return Spectrum(np.ascontiguousarray(vectors[:, :rank][:, kept]), values[:rank][kept].astype(np.float64) ** 2)
