"""The unit in which Keras models are trained, whatever the scale of the ratings. NumPy only."""

from dataclasses import dataclass, replace

import numpy as np

from recobatch.interactions import EncodedInteractions

_ROWS_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class RatingScale:
    """Ratings from ``lowest`` to ``highest`` as numbers from 1 to 5.

    Step size, penalty and initial values of a recipe are made for these. On that scale nothing is converted.
    """

    lowest: float
    """Lowest possible rating, in rating units."""
    highest: float
    """Highest possible rating, in rating units."""

    @property
    def unit(self) -> float:
        """Rating units of one: a quarter of the range, or 1 where all ratings are equal."""
        return (self.highest - self.lowest) / 4 or 1.0

    @property
    def offset(self) -> float:
        """Rating of zero, in rating units."""
        return self.lowest - self.unit

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends of the range in the unit of training."""
        return 1.0, self.to_unit(self.highest)

    @property
    def is_identity(self) -> bool:
        """Whether nothing is converted."""
        return (self.unit, self.offset) == (1.0, 0.0)

    def to_unit(self, rating: float) -> float:
        """A rating in the unit of training."""
        return (rating - self.lowest) / self.unit + 1

    def rows_to_unit(self, rows: EncodedInteractions) -> EncodedInteractions:
        """The same rows in the unit of training."""
        if self.is_identity:
            return rows
        rating = np.empty_like(rows.rating)
        for start in range(0, len(rating), _ROWS_AT_ONCE):  # the precise ones take twice the memory
            some = slice(start, start + _ROWS_AT_ONCE)
            rating[some] = (rows.rating[some].astype(np.float64) - self.lowest) / self.unit + 1
        return replace(rows, rating=rating)
