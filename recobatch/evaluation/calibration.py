"""Intervals around predictions, calibrated on held-out ratings. NumPy only.

Split-conformal, with the quantiles of scaled residuals per activity band: Romano, Patterson and Candès, "Conformalized
quantile regression", NeurIPS 2019.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from recobatch.errors import BadTable
from recobatch.evaluation.noise import HeldOut, NoiseTerms, band_edges, fit_noise

COVERAGE = 0.9
_FOLDS = 4
_ALTERNATIONS = 4
_NEIGHBOURS = 0.2
"""Weight of each neighbouring band."""


@dataclass(frozen=True, eq=False)
class Intervals:
    """Multiples of a pair's sd below and above its prediction, by the user's and the item's activity band."""

    user_edges: np.ndarray
    """Ascending numbers of training ratings; band b is from edge b - 1 up to, not including, edge b."""
    item_edges: np.ndarray
    lower: tuple[np.ndarray, np.ndarray]
    """A factor for each user band and for each item band: ``lower_90 = prediction - product of the two · sd``."""
    upper: tuple[np.ndarray, np.ndarray]
    """As ``lower``, above the prediction."""
    min_rating: float
    max_rating: float

    @classmethod
    def fit(
        cls, held_out: HeldOut, sd: np.ndarray, *, user_ratings: np.ndarray, item_ratings: np.ndarray,
        rating_range: tuple[float, float], coverage: float = COVERAGE,
    ) -> Self:  # fmt: skip
        """Take the quantiles of the scaled residuals, half of the error on each side.

        Args:
            held_out: Held-out ratings; those that the noise terms were fitted to may be among them if each user has
                few, otherwise use ``calibrate``, which fits both crosswise.
            sd: Of each held-out pair, shape ``(n,)``.
            user_ratings: Training ratings of each user.
            item_ratings: Training ratings of each item.
            rating_range: Lowest and highest rating, to which intervals are clipped.
            coverage: Share of ratings within their intervals.
        """
        activity = user_ratings[held_out.user_index], item_ratings[held_out.item_index]
        edges = [band_edges(each) for each in activity]
        score = (held_out.rating - held_out.prediction) / sd
        band = [np.searchsorted(each, values, side="right") for each, values in zip(edges, activity, strict=True)]
        sizes = [len(each) + 1 for each in edges]
        lower, upper = (_factors(sign * score, band, sizes, coverage) for sign in (-1, 1))
        return cls(edges[0], edges[1], lower, upper, *rating_range)

    def bounds(
        self, prediction: np.ndarray, sd: np.ndarray, user_ratings: np.ndarray, item_ratings: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """``lower_90`` and ``upper_90`` of any pairs.

        Args:
            prediction: Clipped to the range, shape ``(n,)``.
            sd: Shape ``(n,)``.
            user_ratings: Training ratings of each pair's user, shape ``(n,)``.
            item_ratings: Training ratings of each pair's item, shape ``(n,)``.

        Returns:
            float32, shape ``(n,)`` each, within the range, with the prediction between them.
        """
        band = (
            np.searchsorted(self.user_edges, user_ratings, side="right"),
            np.searchsorted(self.item_edges, item_ratings, side="right"),
        )
        below, above = (factors[0][band[0]] * factors[1][band[1]] * sd for factors in (self.lower, self.upper))
        lower = np.minimum(prediction, np.maximum(prediction - below, self.min_rating))
        upper = np.maximum(prediction, np.minimum(prediction + above, self.max_rating))
        return lower.astype(np.float32), upper.astype(np.float32)


def _factors(
    score: np.ndarray, band: list[np.ndarray], sizes: list[int], coverage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Factors of the user bands and of the item bands whose products cover every band, fitted in turn."""
    factors = np.ones(sizes[0]), np.ones(sizes[1])
    for _ in range(_ALTERNATIONS):
        for side in (1, 0):
            rest = factors[1 - side][band[1 - side]]
            scaled = np.divide(score, rest, out=np.zeros_like(score), where=rest > 0)
            found = [_conformal(scaled[band[side] == number], coverage) for number in range(sizes[side])]
            factors[side][:] = _smoothed(np.array(found))
    return factors


def _smoothed(factors: np.ndarray) -> np.ndarray:
    """Each factor averaged with its neighbours: quantiles of one band alone vary by chance."""
    ends = np.concatenate((factors[:1], factors, factors[-1:]))
    return (1 - 2 * _NEIGHBOURS) * factors + _NEIGHBOURS * (ends[:-2] + ends[2:])


def _conformal(score: np.ndarray, coverage: float) -> float:
    """The finite-sample quantile of one side: never negative."""
    n = len(score)
    if not n:
        return 1.0
    rank = min(1.0, (1 + coverage) / 2 * (n + 1) / n)
    return max(0.0, float(np.quantile(score, rank, method="higher")))


@dataclass(frozen=True, eq=False)
class Calibration:
    """Noise terms and intervals of one model; ``calibrated on held-out ratings``."""

    noise: NoiseTerms
    intervals: Intervals
    user_ratings: np.ndarray
    """Training ratings of each user, by which bands are found: int64, shape ``(n_users,)``."""
    item_ratings: np.ndarray
    """Training ratings of each item: int64, shape ``(n_items,)``."""

    def bounds(
        self, user_index: np.ndarray, item_index: np.ndarray, prediction: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """``lower_90`` and ``upper_90`` of pairs: float32, shape ``(n,)`` each."""
        sd = self.noise.pair_sd(user_index, item_index)
        return self.intervals.bounds(prediction, sd, self.user_ratings[user_index], self.item_ratings[item_index])

    def save(self, path: Path) -> None:
        """Write an ``.npz`` of plain arrays."""
        intervals = self.intervals
        with path.open("wb") as file:
            np.savez(
                file, allow_pickle=False, user_sd=self.noise.user_sd, item_sd=self.noise.item_sd,
                user_edges=intervals.user_edges, item_edges=intervals.item_edges,
                lower_user=intervals.lower[0], lower_item=intervals.lower[1], upper_user=intervals.upper[0],
                upper_item=intervals.upper[1], range=np.array([intervals.min_rating, intervals.max_rating]),
                user_ratings=self.user_ratings, item_ratings=self.item_ratings,
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> Self:
        """Inverse of ``save``.

        Raises:
            BadTable: If the file cannot be read.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                a = dict(file)
            low, high = a["range"].tolist()
            lower, upper = ((a[f"{end}_user"], a[f"{end}_item"]) for end in ("lower", "upper"))
            intervals = Intervals(a["user_edges"], a["item_edges"], lower, upper, low, high)
            return cls(NoiseTerms(a["user_sd"], a["item_sd"]), intervals, a["user_ratings"], a["item_ratings"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise BadTable(
                f"{path}: found no calibration ({error}), expected a file saved by recobatch; train again"
            ) from error


def calibrate(
    held_out: HeldOut, *, user_ratings: np.ndarray, item_ratings: np.ndarray, rating_range: tuple[float, float],
    seen: HeldOut | None = None,
) -> Calibration:  # fmt: skip
    """Fit noise terms and intervals to the same held-out ratings, crosswise.

    The sd of each held-out rating comes from noise terms fitted without its fold, so that the quantiles are those of
    ratings that the terms did not see. The terms that are returned are fitted to all of them.

    Args:
        held_out: Ratings that the model did not see, with its predictions.
        user_ratings: Training ratings of each user, shape ``(n_users,)``.
        item_ratings: Training ratings of each item, shape ``(n_items,)``.
        rating_range: Lowest and highest rating.
        seen: The model's training ratings with its predictions, for sharper noise terms; see ``fit_noise``.

    Raises:
        BadInput: If there are no held-out ratings.
    """
    counts = {"user_ratings": user_ratings, "item_ratings": item_ratings}
    noise = fit_noise(held_out, **counts, seen=seen)
    sd = noise.pair_sd(held_out.user_index, held_out.item_index)
    fold = np.arange(len(held_out)) % _FOLDS
    for number in range(_FOLDS):
        chosen = fold == number
        if chosen.any() and not chosen.all():
            others = fit_noise(held_out.take(~chosen), **counts, seen=seen)
            sd[chosen] = others.pair_sd(held_out.user_index[chosen], held_out.item_index[chosen])
    intervals = Intervals.fit(
        held_out, sd, user_ratings=user_ratings, item_ratings=item_ratings, rating_range=rating_range
    )
    return Calibration(noise, intervals, user_ratings, item_ratings)
