"""The nearest product of fewer columns to a product of two factor matrices, without the matrix of all pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

_SMALLEST = 1e-13
"""Of the largest eigenvalue of a Gram matrix: directions below are rounding errors."""
_TINY = np.float32(1e-20)
_ROWS_AT_ONCE = 256
"""A BLAS rounds differently for another shape: every row is computed among so many, zeros where there are fewer. With
AVX2 a row's last bit also depends on its place among them: OpenBLAS takes six rows by one kernel, six by another."""
_ROWS_PER_GRAM = 8192


def leading_directions(
    user_gram: np.ndarray, item_gram: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest singular directions of ``users @ items.T``, by the Gram matrices of both sides.

    Args:
        user_gram: ``users.T @ users``, float64, shape ``(k, k)``.
        item_gram: ``items.T @ items``, likewise.
        most: Directions.

    Returns:
        Two matrices of shape ``(k, r)``, r at most ``most``: ``users`` times the first and ``items`` times the second
        have the nearest product of rank r. And all singular values, descending.
    """
    left, left_root = _roots(user_gram)
    right, right_root = _roots(item_gram)
    inner_left, values, inner_right = np.linalg.svd(left_root @ right_root.T, full_matrices=False)
    roots = np.sqrt(values[:most])  # on both sides: neither is small beside the other
    return left @ (inner_left[:, : len(roots)] * roots), right @ (inner_right[: len(roots)].T * roots), values


def _roots(squared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a Gram matrix ``AᵀA``: B, for which the columns of ``A B`` are orthonormal, and R, for which ``A = A B R``."""
    values, vectors = np.linalg.eigh(squared)
    kept = values >= _SMALLEST * values[-1]
    root = np.sqrt(np.maximum(values[kept], _TINY))
    return vectors[:, kept] / root, root[:, None] * vectors[:, kept].T


@dataclass(frozen=True, eq=False)
class FewerColumns:
    """What the factors of users and items are multiplied with, so that they have fewer columns."""

    users: np.ndarray
    """float32, shape ``(n_before, n_columns)``."""
    items: np.ndarray
    """float32, shape ``(n_before, n_columns)``."""

    @classmethod
    def of(cls, users: Sequence[np.ndarray], items: Sequence[np.ndarray], n_columns: int) -> Self:
        """Those that change the product ``users @ items.T`` least, by the sum of squares; parts as in ``of_users``."""
        left, right, _ = leading_directions(_gram(users), _gram(items), n_columns)
        return cls(left.astype(np.float32), right.astype(np.float32))

    def of_users(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Factors of any users in fewer columns.

        Args:
            parts: Columns that lie beside each other, float32, shape ``(n, k)`` each.

        Returns:
            float32, shape ``(n, n_columns)``; a row depends on no other row, but for the rounding of its place.
        """
        return _product(parts, self.users)

    def of_items(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """As ``of_users``."""
        return _product(parts, self.items)


def _product(parts: Sequence[np.ndarray], matrix: np.ndarray) -> np.ndarray:
    n_rows = len(parts[0])
    product = np.empty((n_rows, matrix.shape[1]), dtype=np.float32)
    rows = np.zeros((_ROWS_AT_ONCE, len(matrix)), dtype=np.float32)
    for start in range(0, n_rows, _ROWS_AT_ONCE):
        chosen = slice(start, min(start + _ROWS_AT_ONCE, n_rows))
        n = chosen.stop - start
        np.concatenate([part[chosen] for part in parts], axis=1, out=rows[:n])
        if n == _ROWS_AT_ONCE:
            np.matmul(rows, matrix, out=product[chosen])
        else:
            product[chosen] = (rows @ matrix)[:n]
    return product


def _gram(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Of columns that lie beside each other, float64; some rows at a time, since a copy of all is large."""
    width = sum(part.shape[1] for part in parts)
    gram = np.zeros((width, width))
    for start in range(0, len(parts[0]), _ROWS_PER_GRAM):
        rows = np.concatenate([part[start : start + _ROWS_PER_GRAM] for part in parts], axis=1, dtype=np.float64)
        gram += rows.T @ rows
    return gram
