"""Users' side of an interest model: ridge regressions, one row at a time or in batches. NumPy only."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from recobatch.lanes import solve_and_sample
from recobatch.sparse_rows import SparseRows, in_batches, in_blocks

_PAIRS_AT_ONCE = 8192
"""Whose vectors are gathered at once: they stay in the cache."""
_SMALLEST_PENALTY = 1e-6


@dataclass(frozen=True)
class Ridge:
    """Weights and penalties of ``solve_users``."""

    unobserved: float
    """Weight of every pair."""
    regularization: float
    """Penalty per pair."""
    floor: float
    """Penalty of a row without pairs."""

    def penalty(self, counts: np.ndarray) -> np.ndarray:
        """Of rows with so many pairs."""
        return np.maximum(self.regularization * counts + self.floor, _SMALLEST_PENALTY)


def solve_users(rows: SparseRows, basis: np.ndarray, ridge: Ridge) -> np.ndarray:
    """Minimise ``Σ w (1 - x · y)² + unobserved Σ_all (x · y)² + penalty |x|²`` for the ``x`` of every row.

    The penalty of a row with n pairs is ``regularization * n + floor``: scaled by frequency (Rendle, Krichene, Zhang &
    Koren, "Revisiting the performance of iALS", RecSys 2022, section 3.3), where ``floor`` was
    ``regularization * unobserved * m`` in training.

    Rows are solved in threads: a BLAS should use one, so that the bits do not depend on how many it has.

    Args:
        rows: The weights ``w``, positive.
        basis: The fixed side ``y``, float32, shape ``(m, k)``.
        ridge: Weights and penalties.

    Returns:
        float32, shape ``(n_rows, k)``; zeros for rows without pairs. A row depends on no other row, but for rounding
        where there are many (``sparse_rows.MANY_ROWS``).
    """
    k = basis.shape[1]
    solved = np.zeros((rows.n_rows, k), dtype=np.float32)
    gram = (ridge.unobserved * (basis.T @ basis)).astype(np.float32)
    short = rows.are_short(k - 1)
    _solve_short(rows, short, basis, gram, ridge, out=solved)
    left = rows.take(~short) if short.any() else rows
    solved[~short] = _solve_long(left, basis, gram, ridge)
    return solved


def _solve_short(
    rows: SparseRows, chosen: np.ndarray, basis: np.ndarray, gram: np.ndarray, ridge: Ridge, *, out: np.ndarray
) -> None:
    """Solve the chosen rows, which have fewer pairs than factors, by systems as large as the pairs.

    With the vectors V of a row's pairs, their weights W and ``D = gram + penalty``, the solution
    ``(D + VᵀWV)⁻¹ VᵀW 1`` is ``D⁻¹Vᵀ (W⁻¹ + V D⁻¹ Vᵀ)⁻¹ 1`` (Woodbury). In the eigenvectors of ``gram``, D is diagonal,
    and the same for all rows of one length.
    """
    values, rotation = np.linalg.eigh(gram.astype(np.float64))
    values, rotated = np.maximum(values, 0), basis @ rotation.astype(np.float32)
    for length, some in rows.by_length(chosen):
        scales = 1 / np.sqrt(values + ridge.penalty(np.array(length)))
        scaled, back = rotated * scales.astype(np.float32), (scales[:, None] * rotation.T).astype(np.float32)

        def solve(batch: np.ndarray, length: int, scaled: np.ndarray = scaled, back: np.ndarray = back) -> None:
            columns, weights = rows.pairs_of(batch, length)
            vectors = np.take(scaled, columns, axis=0, mode="clip")
            # A copy: of a matrix and itself numpy would use syrk, slower for so few rows.
            systems = np.matmul(vectors, vectors.copy().transpose(0, 2, 1))
            systems[:, np.arange(length), np.arange(length)] += 1 / weights
            lanes = np.ascontiguousarray(systems.transpose(1, 2, 0))
            factors, _ = solve_and_sample(lanes, np.ones((length, len(batch)), dtype=np.float32))
            out[batch] = np.matmul(factors.T[:, None], vectors)[:, 0] @ back

        in_batches(solve, some, length)


def _solve_long(rows: SparseRows, basis: np.ndarray, gram: np.ndarray, ridge: Ridge) -> np.ndarray:
    solved = np.zeros((rows.n_rows, len(gram)), dtype=np.float32)
    basis = np.concatenate([basis, np.ones((len(basis), 1), dtype=np.float32)], axis=1)

    def fill(part: slice) -> None:
        bounds = rows.bounds[part.start : part.stop + 1]
        solved[part] = _solve_block(bounds, rows, basis, gram, ridge)

    in_blocks(fill, rows)
    return solved


def _solve_block(bounds: np.ndarray, rows: SparseRows, basis: np.ndarray, gram: np.ndarray, ridge: Ridge) -> np.ndarray:
    """Solve the rows that have the pairs between ``bounds``; ``basis`` has a last column of ones."""
    k, counts = len(gram), np.diff(bounds)
    systems = np.zeros((len(counts), k, k + 1), dtype=np.float32)  # matrix and target of each row, by one product
    for part in _parts_of_pairs(bounds):
        pairs = slice(bounds[part.start], bounds[part.stop])
        vectors = basis.take(rows.columns[pairs], axis=0)
        weighted = (vectors[:, :k] * rows.values[pairs, None]).T
        ends = (bounds[part.start : part.stop + 1] - pairs.start).tolist()  # integers of Python index faster
        for row, first, last in zip(range(part.start, part.stop), ends, ends[1:], strict=False):
            np.dot(weighted[:, first:last], vectors[first:last], out=systems[row])
    matrices = systems[:, :, :k]
    matrices += gram
    matrices[:, np.arange(k), np.arange(k)] += ridge.penalty(counts).astype(np.float32)[:, None]
    solved: np.ndarray = np.linalg.solve(matrices, systems[:, :, k:])[:, :, 0]
    return solved


def _parts_of_pairs(bounds: np.ndarray) -> Iterator[slice]:
    """Consecutive ranges of rows with at most ``_PAIRS_AT_ONCE`` pairs each, or one row."""
    first, n_rows = 0, len(bounds) - 1
    while first < n_rows:
        last = int(np.searchsorted(bounds, bounds[first] + _PAIRS_AT_ONCE, side="right")) - 1
        last = min(max(last, first + 1), n_rows)
        yield slice(first, last)
        first = last
