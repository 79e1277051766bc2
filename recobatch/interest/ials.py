"""Implicit ALS: users' and items' factors by alternating ridge regressions over all pairs. NumPy only."""

from dataclasses import dataclass

import numpy as np

from recobatch.interest.spectrum import Spectrum
from recobatch.interest_model import InterestKind, InterestPart
from recobatch.interest_users import Ridge, solve_users
from recobatch.sparse_rows import SparseRows


@dataclass(frozen=True)
class Ials:
    """Hyperparameters of implicit ALS."""

    n_factors: int
    penalty: float
    """Penalty of a user without ratings, and of every row if it is not scaled."""
    unobserved: float
    """Weight of every pair, rated or not."""
    is_scaled: bool = True
    """Whether the penalty of a row with n of N possible pairs is ``penalty (n / (unobserved N) + 1)``, the penalty
    scaled by frequency of Rendle et al. 2022, where N counts items (for a user's penalty; an item's is scaled alike).
    Long tails want the same penalty for every row (Hu, Koren & Volinsky 2008)."""

    @property
    def weighting(self) -> str:
        """Everything but the number of factors, in words."""
        scaled = "penalty" if self.is_scaled else "constant penalty"
        return f"{scaled} {self.penalty:g}, unobserved {self.unobserved:g}"

    def per_rating(self, n_items: int) -> float:
        """Penalty for each pair of a row."""
        return self.penalty / (self.unobserved * n_items) if self.is_scaled else 0.0

    @classmethod
    def of(cls, part: InterestPart) -> "Ials":
        """Those that a part was trained with."""
        return cls(part.basis.shape[1], part.floor, part.unobserved, part.regularization > 0)


def ials_part(
    by_user: SparseRows, by_item: SparseRows, start: Spectrum | np.ndarray, options: Ials, *, sweeps: int
) -> InterestPart:
    """Hu, Koren & Volinsky 2008, with a penalty that may be scaled by frequency.

    Items start from the largest singular vectors, which takes half the sweeps of a random start and no seed.

    Args:
        by_user: Weights of the rated pairs, users × items.
        by_item: Its transpose.
        start: Singular vectors of the matrix, of which at most ``options.n_factors`` are used; or items' factors,
            float32, shape ``(n_items, n_factors)``.
        options: Hyperparameters.
        sweeps: Number of times that both sides are solved.
    """
    n_items, n_users = by_item.n_rows, by_user.n_rows
    per_rating, unobserved = options.per_rating(n_items), options.unobserved
    # An item's penalty counts users where a user's counts items.
    floors = [per_rating * unobserved * n for n in (n_items, n_users)] if options.is_scaled else [options.penalty] * 2
    of_users, of_items = (Ridge(unobserved, per_rating, floor) for floor in floors)
    items = start if isinstance(start, np.ndarray) else _first_items(start, options.n_factors)
    for _ in range(sweeps):
        users = solve_users(by_user, items, of_users)
        items = solve_users(by_item, users, of_items)
    users = solve_users(by_user, items, of_users)
    return InterestPart(InterestKind.IALS, users, items, items, users.mean(axis=0), per_rating, unobserved, floors[0])


def _first_items(spectrum: Spectrum, n_factors: int) -> np.ndarray:
    scales = np.sqrt(spectrum.squared[:n_factors]) ** 0.5
    return np.ascontiguousarray(spectrum.vectors[:, :n_factors] * scales, np.float32)
