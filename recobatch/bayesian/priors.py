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

    noise_degrees: float = 10.0
    """Degrees of freedom of each row's share of the noise: its weight has the mean 1 and the variance 2 over this."""

    def draw(self, rng: np.random.Generator, count: float, squares: np.ndarray | float) -> np.ndarray:
        """Draw precisions of centred normal values.

        Args:
            rng: Source of randomness.
            count: Number of values.
            squares: Their sums of squares, shape ``(d,)`` or a number.
        """
        return rng.gamma(self.shape + count / 2, 1.0, np.shape(squares)) / (self.rate + np.asarray(squares) / 2)

    def draw_weights(self, rng: np.random.Generator, counts: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Draw the noise weights of rows, given their numbers of ratings and their sums of scaled squared errors."""
        shape = (self.noise_degrees + counts) / 2
        return rng.gamma(shape) / ((self.noise_degrees + squares) / 2)
