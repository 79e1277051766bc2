"""Options of the Bayesian factorisation."""

import math

from pydantic import BaseModel, ConfigDict, Field

_SWEEPS = 150
_ENOUGH_RATINGS = 80_000
_RATINGS_PER_FACTOR = 8
_FEWEST_FACTORS = 3
_MOST_FACTORS = 16


class BayesianOptions(BaseModel):
    """Size and length of the sampling; everything else is sampled."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    n_factors: int | None = Field(None, ge=1, le=256)
    """Length of a user's and an item's vector in each sample; None chooses it by the mean numbers of ratings of users
    and of items: an eighth of their geometric mean, at least 3, at most 16."""
    most_factors: int | None = Field(None, ge=1)
    """Bound of that choice; None for 16."""
    sweeps: int | None = Field(None, ge=10)
    """Gibbs sweeps of a chain, of which the first sixth is discarded; None for 150, and up to 450 with fewer than
    80,000 ratings, where a sweep takes less time and the mean needs more of them."""
    chains: int = Field(1, ge=1, le=64)
    """Independent chains, whose predictions are averaged."""

    def sweeps_for(self, n_ratings: int) -> int:
        """``sweeps``, or the number that suits the ratings."""
        if self.sweeps is not None:
            return self.sweeps
        return min(3 * _SWEEPS, max(_SWEEPS, round(_SWEEPS * _ENOUGH_RATINGS / max(1, n_ratings))))

    def factors_for(self, n_ratings: int, n_users: int, n_items: int) -> int:
        """``n_factors``, or the number that suits the ratings: longer vectors than these average out too slowly."""
        if self.n_factors is not None:
            return self.n_factors
        ratings = n_ratings / math.sqrt(n_users * n_items)
        most = min(_MOST_FACTORS, self.most_factors or _MOST_FACTORS)
        return min(most, max(_FEWEST_FACTORS, round(ratings / _RATINGS_PER_FACTOR)))
