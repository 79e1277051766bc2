"""Priors of the precisions."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Priors:
    """Gamma priors of all precisions, in units of the standardised ratings; vague by default."""

    shape: float = 0.5
    rate: float = 0.5
    strength: float = 1.0
    """The mean of a column is normal with this many times the precision of the column."""

    def draw(self, rng: np.random.Generator, count: float, squares: np.ndarray | float) -> np.ndarray:
        """Draw precisions of centred normal values.

        Args:
            rng: Source of randomness.
            count: Number of values.
            squares: Their sums of squares, shape ``(d,)`` or a number.
        """
        return rng.gamma(self.shape + count / 2, 1.0, np.shape(squares)) / (self.rate + np.asarray(squares) / 2)
