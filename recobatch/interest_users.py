"""Users' side of an interest model: weighted sums and ridge regressions, one row at a time. NumPy only."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

_USERS_PER_SOLVE = 512
_PAIRS_AT_ONCE = 8192
"""Whose vectors are gathered at once: they stay in the cache."""


def project(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray, basis: np.ndarray, n_rows: int) -> np.ndarray:
    """Weighted sums of rows of ``basis``: for each pair, row ``rows`` gets ``weights * basis[columns]``.

    Args:
        rows: Integers, shape ``(n,)``, within ``[0, n_rows)``, in any order.
        columns: Integers, shape ``(n,)``, rows of ``basis``.
        weights: float32, shape ``(n,)``.
        basis: float32, shape ``(m, k)``.
        n_rows: Rows of the result.

    Returns:
        float32, shape ``(n_rows, k)``.
    """
    order, bounds = grouped(rows, n_rows)
    columns, weights = columns[order], weights[order]
    sums = np.zeros((n_rows, basis.shape[1]), dtype=np.float32)
    for row in np.flatnonzero(np.diff(bounds)):
        chosen = slice(bounds[row], bounds[row + 1])
        np.dot(weights[chosen], basis[columns[chosen]], out=sums[row])
    return sums


def solve_users(
    rows: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    basis: np.ndarray,
    n_rows: int,
    *,
    unobserved: float,
    regularization: float,
    floor: float,
) -> np.ndarray:
    """Minimise ``Σ w (1 - x · y)² + unobserved Σ_all (x · y)² + penalty |x|²`` for the ``x`` of every row.

    The penalty of a row with n pairs is ``regularization * n + floor``: scaled by frequency (Rendle, Krichene, Zhang &
    Koren, "Revisiting the performance of iALS", RecSys 2022, section 3.3), where ``floor`` was
    ``regularization * unobserved * m`` in training.

    Users are solved in threads: a BLAS should use one, so that the bits do not depend on how many it has.

    Args:
        rows: As in ``project``.
        columns: As in ``project``.
        weights: Confidence of each pair, float32, shape ``(n,)``.
        basis: The fixed side ``y``, float32, shape ``(m, k)``.
        n_rows: Rows of the result.
        unobserved: Weight of every pair.
        regularization: Penalty per pair.
        floor: Penalty of a row without pairs.

    Returns:
        float32, shape ``(n_rows, k)``; zeros for rows without pairs. The bits do not depend on other rows.
    """
    order, bounds = grouped(rows, n_rows)
    columns, weights = columns[order], weights[order]
    solved = np.zeros((n_rows, basis.shape[1]), dtype=np.float32)
    gram, basis = (unobserved * (basis.T @ basis)).astype(np.float32), with_ones(basis)

    def solve(first: int) -> None:
        part = slice(first, min(first + _USERS_PER_SOLVE, n_rows))
        solved[part] = solve_block(
            bounds[part.start : part.stop + 1], columns, weights, basis,
            regularization=regularization, floor=floor, gram=gram,
        )  # fmt: skip

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(solve, range(0, n_rows, _USERS_PER_SOLVE)))
    return solved


def solve_block(
    bounds: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    basis: np.ndarray,
    *,
    regularization: float,
    floor: float,
    gram: np.ndarray,
) -> np.ndarray:
    """As ``solve_users``: row i has the pairs ``bounds[i]:bounds[i + 1]``.

    ``gram`` is ``unobserved basisᵀ basis``, and ``basis`` is ``with_ones`` of the fixed side.
    """
    k, counts = len(gram), np.diff(bounds)
    systems = np.zeros((len(counts), k, k + 1), dtype=np.float32)  # matrix and target of each row, by one product
    for part in _parts_of_pairs(bounds):
        pairs = slice(bounds[part.start], bounds[part.stop])
        vectors = basis.take(columns[pairs], axis=0)
        weighted = (vectors[:, :k] * weights[pairs, None]).T
        ends = (bounds[part.start : part.stop + 1] - pairs.start).tolist()  # integers of Python index faster
        for row, first, last in zip(range(part.start, part.stop), ends, ends[1:], strict=False):
            np.dot(weighted[:, first:last], vectors[first:last], out=systems[row])
    matrices, penalty = systems[:, :, :k], np.maximum(regularization * counts + floor, 1e-6)
    matrices += gram
    matrices[:, np.arange(k), np.arange(k)] += penalty.astype(np.float32)[:, None]
    solved: np.ndarray = np.linalg.solve(matrices, systems[:, :, k:])[:, :, 0]
    return solved


def with_ones(basis: np.ndarray) -> np.ndarray:
    """The same rows with a last column of ones."""
    return np.concatenate([basis, np.ones((len(basis), 1), dtype=np.float32)], axis=1)


def _parts_of_pairs(bounds: np.ndarray) -> Iterator[slice]:
    """Consecutive ranges of rows with at most ``_PAIRS_AT_ONCE`` pairs each, or one row."""
    first, n_rows = 0, len(bounds) - 1
    while first < n_rows:
        last = int(np.searchsorted(bounds, bounds[first] + _PAIRS_AT_ONCE, side="right")) - 1
        last = min(max(last, first + 1), n_rows)
        yield slice(first, last)
        first = last


def grouped(index: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A stable order by index, and the bounds of each index in it: ``order[bounds[i]:bounds[i + 1]]``."""
    return np.argsort(index, kind="stable"), np.concatenate([[0], np.cumsum(np.bincount(index, minlength=size))])
