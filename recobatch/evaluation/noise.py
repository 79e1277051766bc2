"""How noisy the ratings of each user and each item are around a model's predictions. NumPy only.

The standard deviation of a pair is ``sqrt(sd_user² + sd_item²)``. It is fitted to residuals alone, so every model gets
it in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from recobatch.errors import BadInput
from recobatch.evaluation.evaluate import predict_rows
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions
from recobatch.intervals import NoiseTerms

_ROUNDS = 8
_SHRINKAGE = 25.0
"""Ratings that the mean counts for, where a user or item has few of its own."""
_SMALLEST_SHARE = 0.02
"""A noise term is at least this share of the mean variance."""
_BANDS = 10
_SMALLEST_BAND = 400
"""Held-out ratings in a band: their quantiles are then sure to about 1.5 percent."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Ratings that the model did not see, with its predictions, clipped to the range."""

    user_index: np.ndarray
    """Integers, shape ``(n,)``."""
    item_index: np.ndarray
    """Integers, shape ``(n,)``."""
    rating: np.ndarray
    """In rating units, shape ``(n,)``."""
    prediction: np.ndarray
    """In rating units, shape ``(n,)``."""

    @classmethod
    def of(cls, factors: FactorModel, rows: EncodedInteractions) -> Self:
        """Predict rows; of a training that diverged, a prediction that is no number counts as the middle rating."""
        prediction, middle = predict_rows(factors, rows), np.float32((factors.min_rating + factors.max_rating) / 2)
        return cls(rows.user_index, rows.item_index, rows.rating, np.where(np.isfinite(prediction), prediction, middle))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The ratings of all parts."""
        names = (each.name for each in fields(cls))
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def __len__(self) -> int:
        return len(self.rating)

    def squared_residuals(self) -> np.ndarray:
        """float64, shape ``(n,)``."""
        return (self.rating.astype(np.float64) - self.prediction) ** 2

    def take(self, rows: np.ndarray) -> "HeldOut":
        """The chosen rows."""
        return HeldOut(self.user_index[rows], self.item_index[rows], self.rating[rows], self.prediction[rows])


def fit_noise(
    held_out: HeldOut, *, user_ratings: np.ndarray, item_ratings: np.ndarray, seen: HeldOut | None = None
) -> NoiseTerms:
    """Fit a variance of each user and item to squared residuals, which are their sum in expectation.

    Each term is the mean of what the other terms leave, shrunk to the mean of rows with as many training ratings; in
    turn for users and items until they settle.

    Args:
        held_out: Held-out ratings.
        user_ratings: Training ratings of each user, shape ``(n_users,)``. Users with few ratings get about the mean of
            users as active.
        item_ratings: Training ratings of each item, shape ``(n_items,)``.
        seen: Training ratings with their predictions. There are many of them, so that they know better who is hard to
            predict; in each activity band their residuals are first scaled to the size of the held-out ones.

    Raises:
        BadInput: If there are no held-out ratings.
    """
    if not len(held_out):
        raise BadInput("calibration: found no held-out ratings, expected at least one; hold out a validation part")
    squared, index = _squared_residuals(held_out, seen, user_ratings)
    mean = float(squared.mean()) or 1e-12
    sides = [
        _SideNoise.build(rows, activity, mean)
        for rows, activity in zip(index, (user_ratings, item_ratings), strict=True)
    ]
    for _ in range(_ROUNDS):
        for side, other in (sides, sides[::-1]):
            side.update(squared, other.variance[other.index])
    user_sd, item_sd = (np.sqrt(side.variance).astype(np.float32) for side in sides)
    return NoiseTerms(user_sd, item_sd)


def _squared_residuals(
    held_out: HeldOut, seen: HeldOut | None, user_ratings: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Squared residuals of held-out and seen ratings, and their users and items."""
    squared = held_out.squared_residuals()
    if seen is None:
        return squared, (held_out.user_index, held_out.item_index)
    fitted = seen.squared_residuals()
    edges = band_edges(user_ratings[held_out.user_index])
    bands = [np.searchsorted(edges, user_ratings[rows.user_index], side="right") for rows in (held_out, seen)]
    means = [
        np.bincount(band, values, len(edges) + 1) / np.maximum(np.bincount(band, minlength=len(edges) + 1), 1)
        for band, values in zip(bands, (squared, fitted), strict=True)
    ]
    ratio = np.divide(means[0], means[1], out=np.ones(len(edges) + 1), where=means[1] > 0)
    return np.concatenate([squared, fitted * ratio[bands[1]]]), (
        np.concatenate([held_out.user_index, seen.user_index]), np.concatenate([held_out.item_index, seen.item_index])
    )  # fmt: skip


@dataclass(eq=False)
class _SideNoise:
    index: np.ndarray
    """Row of each held-out rating."""
    counts: np.ndarray
    """Held-out ratings of each row."""
    band: np.ndarray
    """Activity band of each row."""
    n_bands: int
    variance: np.ndarray
    least: float

    @classmethod
    def build(cls, index: np.ndarray, activity: np.ndarray, mean: float) -> Self:
        n_rows = len(activity)
        counts = np.bincount(index, minlength=n_rows)
        edges = band_edges(activity[index])
        band = np.searchsorted(edges, activity, side="right")
        return cls(index, counts, band, len(edges) + 1, np.full(n_rows, mean / 2), _SMALLEST_SHARE * mean)

    def update(self, squared: np.ndarray, other: np.ndarray) -> None:
        """Weighted by the variance of a squared residual, which grows with the square of its expectation."""
        weight = 1 / (self.variance[self.index] + other) ** 2
        total = np.bincount(self.index, weight * (squared - other), len(self.counts))
        weights = np.bincount(self.index, weight, len(self.counts))
        banded = np.bincount(self.band, total, self.n_bands) / np.maximum(
            np.bincount(self.band, weights, self.n_bands), 1e-300
        )
        typical = np.where(self.counts > 0, weights / np.maximum(self.counts, 1), weight.mean())
        prior = _SHRINKAGE * typical
        self.variance = np.maximum((total + prior * banded[self.band]) / (weights + prior), self.least)


def band_edges(activity: np.ndarray, *, bands: int = _BANDS, smallest: int = _SMALLEST_BAND) -> np.ndarray:
    """Boundaries of activity bands, ascending, from the activity of each held-out rating's user or item.

    Quantiles, so that each band holds about equally many held-out ratings, at least ``smallest`` of them.
    """
    bands = max(1, min(bands, len(activity) // smallest))
    edges = np.unique(np.quantile(activity, np.arange(1, bands) / bands)) if bands > 1 else np.zeros(0)
    return edges[edges > activity.min()] if len(activity) else edges
