"""The uncertainty of a model's predictions: the noise of users and items, and intervals around pairs. NumPy only."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from recobatch.array_file import fingerprint_arrays, open_arrays, save_arrays


@dataclass(frozen=True, eq=False)
class NoiseTerms:
    """The noise of each user and each item, in rating units."""

    user_sd: np.ndarray
    """float32, shape ``(n_users,)``."""
    item_sd: np.ndarray
    """float32, shape ``(n_items,)``."""

    def pair_sd(self, user_index: np.ndarray, item_index: np.ndarray) -> np.ndarray:
        """``sqrt(sd_user² + sd_item²)``: float32, shape ``(n,)``."""
        return np.hypot(self.user_sd[user_index], self.item_sd[item_index])

    def scaled(self, factor: float) -> Self:
        """Every sd times a number."""
        return type(self)(self.user_sd * np.float32(factor), self.item_sd * np.float32(factor))


@dataclass(frozen=True, eq=False)
class Intervals:
    """Multiples of a pair's sd below and above its prediction, by the user's and the item's activity band."""

    user_edges: np.ndarray
    """Ascending numbers of ratings; band b is from edge b - 1 up to, not including, edge b."""
    item_edges: np.ndarray
    lower: tuple[np.ndarray, np.ndarray]
    """A factor for each user band and for each item band: ``lower_90 = prediction - product of the two · sd``."""
    upper: tuple[np.ndarray, np.ndarray]
    """As ``lower``, above the prediction."""
    min_rating: float
    max_rating: float

    def bounds(
        self, prediction: np.ndarray, sd: np.ndarray, user_ratings: np.ndarray, item_ratings: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """``lower_90`` and ``upper_90`` of any pairs.

        Args:
            prediction: Shape ``(n,)``.
            sd: Shape ``(n,)``.
            user_ratings: Ratings of each pair's user that the model knows, shape ``(n,)``.
            item_ratings: Ratings of each pair's item that the model knows, shape ``(n,)``.

        Returns:
            float32, shape ``(n,)`` each, within the range, with the prediction between them.
        """
        band = bands(self.user_edges, user_ratings), bands(self.item_edges, item_ratings)
        below, above = (factors[0][band[0]] * factors[1][band[1]] * sd for factors in (self.lower, self.upper))
        # Rounded before the comparison: an interval must not exclude its prediction by a bit.
        lower = np.maximum(prediction - below, self.min_rating).astype(np.float32)
        upper = np.minimum(prediction + above, self.max_rating).astype(np.float32)
        return np.minimum(prediction, lower), np.maximum(prediction, upper)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Noise terms and intervals of one model; ``calibrated on held-out ratings``."""

    noise: NoiseTerms
    intervals: Intervals
    user_ratings: np.ndarray
    """Ratings of each user that the model knows, by which bands are found: int64, shape ``(n_users,)``."""
    item_ratings: np.ndarray
    """Ratings of each item that the model knows: int64, shape ``(n_items,)``."""

    def bounds(
        self, user_index: np.ndarray, item_index: np.ndarray, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """``lower_90`` and ``upper_90`` of pairs, whose predictions are float32: float32, shape ``(n,)`` each."""
        sd = self.noise.pair_sd(user_index, item_index)
        return self.intervals.bounds(prediction, sd, self.user_ratings[user_index], self.item_ratings[item_index])

    def over(self, users: np.ndarray, items: np.ndarray, *, user_ratings: np.ndarray, item_ratings: np.ndarray) -> Self:
        """The calibration over other users and items.

        Args:
            users: This calibration's index of each of the users, -1 for one that it does not know, who gets the mean
                variance of the known users of their activity band.
            items: Of each of the items, likewise.
            user_ratings: Ratings of each of the users now, shape ``(len(users),)``.
            item_ratings: Of each of the items, likewise.
        """
        noise, edges = self.noise, self.intervals
        user_sd = _moved(noise.user_sd, users, edges.user_edges, self.user_ratings, user_ratings)
        item_sd = _moved(noise.item_sd, items, edges.item_edges, self.item_ratings, item_ratings)
        return replace(self, noise=NoiseTerms(user_sd, item_sd), user_ratings=user_ratings, item_ratings=item_ratings)

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 over every array, as 64 hex digits."""
        return fingerprint_arrays(dict(self._arrays()))

    def _arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        intervals = self.intervals
        yield "user_sd", self.noise.user_sd
        yield "item_sd", self.noise.item_sd
        yield "user_edges", intervals.user_edges
        yield "item_edges", intervals.item_edges
        for end, factors in (("lower", intervals.lower), ("upper", intervals.upper)):
            yield f"{end}_user", factors[0]
            yield f"{end}_item", factors[1]
        yield "range", np.array([intervals.min_rating, intervals.max_rating])
        yield "user_ratings", self.user_ratings
        yield "item_ratings", self.item_ratings

    def save(self, path: Path) -> None:
        """Write an ``.npz`` of plain arrays (nothing pickled) with the fingerprint beside them."""
        save_arrays(path, dict(self._arrays()))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Inverse of ``save``.

        Raises:
            BadTable: If the file cannot be read or does not match its fingerprint.
        """
        with open_arrays(path, "calibration") as a:
            low, high = a["range"].tolist()
            lower, upper = ((a[f"{end}_user"], a[f"{end}_item"]) for end in ("lower", "upper"))
            intervals = Intervals(a["user_edges"], a["item_edges"], lower, upper, low, high)
            return cls(NoiseTerms(a["user_sd"], a["item_sd"]), intervals, a["user_ratings"], a["item_ratings"])


def bands(edges: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """Number of the activity band of each user or item, int64, from its number of ratings."""
    return np.searchsorted(edges, ratings, side="right")


def _moved(sd: np.ndarray, places: np.ndarray, edges: np.ndarray, before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The sd at each place; where there is none, the root of the mean variance of its band.

    Those without ratings are a band of their own, if there are any: much less is known of them.
    """
    edges = np.unique(np.append(edges, 1)) if not before.all() else edges
    variance, band = sd.astype(np.float64) ** 2, bands(edges, before)
    sizes = np.bincount(band, minlength=len(edges) + 1)
    typical = np.divide(
        np.bincount(band, variance, len(edges) + 1), sizes, out=np.full(len(edges) + 1, variance.mean()),
        where=sizes > 0,
    )  # fmt: skip
    known = places >= 0
    return np.where(known, sd[np.where(known, places, 0)], np.sqrt(typical[bands(edges, now)])).astype(np.float32)
