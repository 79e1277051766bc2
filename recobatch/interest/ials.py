"""Implicit ALS: users' and items' factors by alternating ridge regressions over all pairs. NumPy only."""

import numpy as np

from recobatch.interest.rows import SparseRows, in_blocks
from recobatch.interest.spectrum import Spectrum
from recobatch.interest_model import InterestKind, InterestPart
from recobatch.interest_users import solve_block


def ials_part(
    by_user: SparseRows,
    by_item: SparseRows,
    start: Spectrum,
    *,
    n_factors: int,
    regularization: float,
    unobserved: float,
    sweeps: int,
) -> InterestPart:
    """Hu, Koren & Volinsky 2008, with the penalty of Rendle et al. 2022 that is scaled by frequency.

    Items start from the largest singular vectors, which takes half the sweeps of a random start and no seed.

    Args:
        by_user: Weights of the rated pairs, users × items.
        by_item: Its transpose.
        start: Singular vectors of the matrix.
        n_factors: Length of the vectors; at most those of ``start`` are used.
        regularization: Penalty before scaling; see ``solve_users``.
        unobserved: Weight of every pair.
        sweeps: Number of times that both sides are solved.
    """
    items = np.ascontiguousarray(start.vectors[:, :n_factors] * np.sqrt(start.squared[:n_factors]) ** 0.5, np.float32)
    for _ in range(sweeps):
        users = _solve(by_user, items, unobserved=unobserved, regularization=regularization)
        items = _solve(by_item, users, unobserved=unobserved, regularization=regularization)
    users = _solve(by_user, items, unobserved=unobserved, regularization=regularization)
    floor = regularization * unobserved * len(items)
    return InterestPart(InterestKind.IALS, users, items, items, users.mean(axis=0), regularization, unobserved, floor)


def _solve(rows: SparseRows, basis: np.ndarray, *, unobserved: float, regularization: float) -> np.ndarray:
    solved = np.zeros((rows.n_rows, basis.shape[1]), dtype=np.float32)
    gram, floor = (unobserved * (basis.T @ basis)).astype(np.float32), regularization * unobserved * len(basis)

    def fill(part: slice) -> None:
        bounds = rows.bounds[part.start : part.stop + 1]
        solved[part] = solve_block(
            bounds, rows.columns, rows.values, basis, regularization=regularization, floor=floor, gram=gram
        )

    in_blocks(fill, rows.n_rows)
    return solved
