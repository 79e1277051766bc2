"""The largest singular vectors of a sparse matrix of weights, by its Gram matrix or by passes over its rows."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from recobatch.sparse_rows import SparseRows

LARGEST_EXACT = 2048
"""Rows or columns, whichever are fewer, up to which the singular vectors are computed exactly."""
_DENSE_PRODUCTS = 2e10
"""Multiplications of the Gram matrix up to which it is a product of dense matrices: about a second."""
_SPARSE_PRODUCTS = 5e9
"""Multiplications of values other than zero up to which it is one of sparse matrices: half a minute."""
_OVERSAMPLED = 24
_PASSES = 4
_ROWS_AT_ONCE = 1024
_LEAST_PAIRS, _MOST_PARTS = 1 << 20, 16
"""Of a part of a product of sparse matrices, and parts of it."""
_SMALLEST = 1e-8
"""Of the largest eigenvalue of a block's Gram matrix: directions below are rounding errors of its float32."""


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
        smaller = min(by_user.n_rows, by_item.n_rows)
        longer = by_item if by_user.n_rows <= by_item.n_rows else by_user
        if smaller <= LARGEST_EXACT and (_is_small(longer, smaller) or _products(longer) <= _SPARSE_PRODUCTS):
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
    if not _is_small(rows, n_columns):
        return _sparse_gram(rows, n_columns)
    gram = np.zeros((n_columns, n_columns))
    for first in range(0, rows.n_rows, _ROWS_AT_ONCE):
        bounds = rows.bounds[first : first + _ROWS_AT_ONCE + 1]
        dense = np.zeros((len(bounds) - 1, n_columns), dtype=np.float32)
        chosen = slice(bounds[0], bounds[-1])
        dense[np.repeat(np.arange(len(dense)), np.diff(bounds)), rows.columns[chosen]] = rows.values[chosen]
        gram += dense.T @ dense
    return gram


def _sparse_gram(rows: SparseRows, n_columns: int) -> np.ndarray:
    """As ``_gram``, by products of the values that are there."""
    number = min(_MOST_PARTS, max(1, len(rows.columns) // _LEAST_PAIRS))
    cuts = np.searchsorted(rows.bounds, np.linspace(0, len(rows.columns), number + 1)[1:-1])
    cuts = np.concatenate([[0], cuts, [rows.n_rows]])

    def product(part: int) -> np.ndarray:
        bounds = rows.bounds[cuts[part] : cuts[part + 1] + 1]
        pairs = slice(bounds[0], bounds[-1])
        content = rows.values[pairs].astype(np.float64), rows.columns[pairs], bounds - bounds[0]
        matrix = csr_array(content, shape=(len(bounds) - 1, n_columns))
        found: np.ndarray = (matrix.T.tocsr() @ matrix).toarray()
        return found

    gram = np.zeros((n_columns, n_columns))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for each in pool.map(product, range(number)):
            gram += each
    return gram


def _is_small(rows: SparseRows, n_columns: int) -> bool:
    return float(n_columns) ** 2 * rows.n_rows <= _DENSE_PRODUCTS


def _products(rows: SparseRows) -> float:
    return float(np.square(rows.counts, dtype=np.float64).sum())


def _approximate(by_user: SparseRows, by_item: SparseRows, rank: int, seed: int) -> Spectrum:
    """Block power iterations (Halko, Martinsson & Tropp 2011, algorithm 4.4); never a dense matrix."""
    width = min(rank + _OVERSAMPLED, by_user.n_rows, by_item.n_rows)
    block = np.random.default_rng(seed).standard_normal((by_item.n_rows, width), dtype=np.float32)
    for _ in range(_PASSES):
        basis = _orthonormal(by_user.times(block))
        block = by_item.times(basis)
    vectors, values, _ = np.linalg.svd(block, full_matrices=False)
    kept = values[:rank] > 1e-4 * max(values[0], 1e-30)
    return Spectrum(np.ascontiguousarray(vectors[:, :rank][:, kept]), values[:rank][kept].astype(np.float64) ** 2)


def _orthonormal(block: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span those of a tall matrix, by its Gram matrix: a tenth of the time of LAPACK's QR."""
    gram = np.zeros((block.shape[1], block.shape[1]))
    for first in range(0, len(block), _ROWS_AT_ONCE):
        rows = block[first : first + _ROWS_AT_ONCE].astype(np.float64)
        gram += rows.T @ rows
    values, vectors = np.linalg.eigh(gram)
    kept = values > _SMALLEST * values[-1]
    return block @ (vectors[:, kept] / np.sqrt(values[kept])).astype(np.float32)
