"""How sure a prediction is: a noise term of each user and item, and intervals calibrated on held-out ratings.

The standard deviation of a pair is ``sqrt(sd_user² + sd_item²)``. It is fitted to held-out residuals alone, so every
model gets it in the same way. The intervals are split-conformal: Romano, Patterson and Candès, "Conformalized quantile
regression", NeurIPS 2019, with the quantiles of scaled residuals per activity band. NumPy only.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from recobatch.errors import BadInput, BadTable

COVERAGE = 0.9
_FOLDS = 4
_ROUNDS = 8
_SHRINKAGE = 25.0
"""Held-out ratings that the mean counts for, where a user or item has few of its own."""
_SMALLEST_SHARE = 0.02
"""A noise term is at least this share of the mean variance."""
_BANDS = 10
_NEIGHBOURS = 0.2
_ALTERNATIONS = 4
_SMALLEST_BAND = 400
"""Held-out ratings in a band: their quantiles are then sure to about 1.5 percent."""


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


@dataclass(frozen=True)
class UncertaintyQuality:
    """How well intervals and sds fit held-out rows that they were not calibrated on."""

    coverage: float
    """Share of the ratings within their 90 % intervals."""
    coverage_by_user_activity: tuple[float, ...]
    """The same by decile of the users' training ratings; NaN for deciles with fewer than 300 rows."""
    coverage_by_item_popularity: tuple[float, ...]
    """The same by decile of the items' training ratings."""
    mean_width: float
    """Mean length of the intervals, in rating units."""
    sd_error_correlation: float
    """Correlation of a pair's sd with its absolute error."""
    crps: float
    """Mean continuous ranked probability score of normal predictive distributions, in rating units."""
    crps_constant: float
    """The same with one sd for all pairs, the root of the mean squared error on the same rows."""
    nll: float
    """Mean negative log likelihood of the same distributions."""
    nll_constant: float
    """The same with one sd for all pairs."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


_DECILE_ROWS = 300


def assess_uncertainty(calibration: Calibration, rows: HeldOut) -> UncertaintyQuality:
    """Compare intervals and sds with ratings that had no part in the calibration.

    Args:
        calibration: Of the model that made the predictions.
        rows: Test ratings with the model's predictions.
    """
    error = rows.rating.astype(np.float64) - rows.prediction
    sd = calibration.noise.pair_sd(rows.user_index, rows.item_index).astype(np.float64)
    lower, upper = calibration.bounds(rows.user_index, rows.item_index, rows.prediction)
    inside = (rows.rating >= lower - 1e-6) & (rows.rating <= upper + 1e-6)
    constant = np.full(len(error), max(float(np.sqrt(np.mean(error**2))), 1e-12))
    varies = len(error) > 1 and sd.std() > 0 and np.abs(error).std() > 0
    return UncertaintyQuality(
        coverage=float(inside.mean()),
        coverage_by_user_activity=_by_decile(calibration.user_ratings[rows.user_index], inside),
        coverage_by_item_popularity=_by_decile(calibration.item_ratings[rows.item_index], inside),
        mean_width=float((upper - lower).mean(dtype=np.float64)),
        sd_error_correlation=float(np.corrcoef(sd, np.abs(error))[0, 1]) if varies else 0.0,
        crps=_crps(error, sd), crps_constant=_crps(error, constant),
        nll=_nll(error, sd), nll_constant=_nll(error, constant),
    )  # fmt: skip


def _by_decile(activity: np.ndarray, inside: np.ndarray) -> tuple[float, ...]:
    edges = np.quantile(activity, np.arange(1, 10) / 10)
    decile = np.searchsorted(edges, activity, side="right")
    rows = np.bincount(decile, minlength=10)
    shares = np.bincount(decile, inside, 10) / np.maximum(rows, 1)
    return tuple(np.where(rows >= _DECILE_ROWS, shares, np.nan).tolist())


def _crps(error: np.ndarray, sd: np.ndarray) -> float:
    """Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 2007, eq. 21."""
    z = error / sd
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    erf = np.vectorize(math.erf, otypes=[float])
    return float(np.mean(sd * (z * erf(z / np.sqrt(2)) + 2 * density - 1 / np.sqrt(np.pi))))


def _nll(error: np.ndarray, sd: np.ndarray) -> float:
    return float(np.mean(np.log(sd) + (error / sd) ** 2 / 2) + math.log(2 * math.pi) / 2)
