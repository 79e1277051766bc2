"""How well sds and intervals fit ratings that had no part in the calibration. NumPy only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from recobatch.evaluation.calibration import calibrate
from recobatch.evaluation.noise import HeldOut
from recobatch.intervals import Calibration

_DECILE_ROWS = 300
_HALVES = 2


@dataclass(frozen=True)
class UncertaintyQuality:
    """How well intervals and sds fit held-out rows that they were not calibrated on."""

    coverage: float
    """Share of the ratings within their 90 % intervals."""
    coverage_by_user_activity: Sequence[float | None]
    """The same by decile of the rows, ordered by the users' training ratings; None for deciles with fewer than 300
    rows."""
    coverage_by_item_popularity: Sequence[float | None]
    """The same by decile of the rows, ordered by the items' training ratings."""
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

    def metrics(self) -> dict[str, float]:
        """The figures by their names in MLflow."""
        deciles = {"user_activity": self.coverage_by_user_activity, "item_popularity": self.coverage_by_item_popularity}
        return {
            "coverage_90": self.coverage, "interval_width": self.mean_width,
            "sd_error_correlation": self.sd_error_correlation, "crps": self.crps, "crps_constant": self.crps_constant,
            "nll": self.nll, "nll_constant": self.nll_constant,
        } | {
            f"coverage_90_{name}_{number:02d}": share
            for name, shares in deciles.items() for number, share in enumerate(shares, 1) if share is not None
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_dict``."""
        return cls(**values)


@dataclass(eq=False)
class _Judged:
    """Test rows with what the calibration says of them."""

    rows: HeldOut
    user_ratings: np.ndarray
    item_ratings: np.ndarray
    sd: np.ndarray = field(init=False)
    lower: np.ndarray = field(init=False)
    upper: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.sd, self.lower, self.upper = (np.empty(len(self.rows)) for _ in range(3))

    def fill(self, calibration: Calibration, chosen: np.ndarray) -> None:
        """Take the sds and intervals of the chosen rows from a calibration without them."""
        part = self.rows.take(chosen)
        self.sd[chosen] = calibration.noise.pair_sd(part.user_index, part.item_index)
        self.lower[chosen], self.upper[chosen] = calibration.bounds(part.user_index, part.item_index, part.prediction)

    def quality(self) -> UncertaintyQuality:
        rows, sd = self.rows, self.sd
        error = rows.rating.astype(np.float64) - rows.prediction
        rounding = 1e-6 * np.abs(rows.rating)
        inside = (rows.rating >= self.lower - rounding) & (rows.rating <= self.upper + rounding)
        constant = np.full(len(error), max(float(np.sqrt(np.mean(error**2))), 1e-12))
        varies = len(error) > 1 and sd.std() > 0 and np.abs(error).std() > 0
        return UncertaintyQuality(
            coverage=float(inside.mean()),
            coverage_by_user_activity=_by_decile(self.user_ratings[rows.user_index], inside),
            coverage_by_item_popularity=_by_decile(self.item_ratings[rows.item_index], inside),
            mean_width=float((self.upper - self.lower).mean()),
            sd_error_correlation=float(np.corrcoef(sd, np.abs(error))[0, 1]) if varies else 0.0,
            crps=_crps(error, sd), crps_constant=_crps(error, constant),
            nll=_nll(error, sd), nll_constant=_nll(error, constant),
        )  # fmt: skip


def assess_uncertainty(calibration: Calibration, rows: HeldOut) -> UncertaintyQuality:
    """Compare intervals and sds with ratings that had no part in the calibration.

    Args:
        calibration: Of the model that made the predictions.
        rows: Test ratings with the model's predictions.
    """
    judged = _Judged(rows, calibration.user_ratings, calibration.item_ratings)
    judged.fill(calibration, np.arange(len(rows)))
    return judged.quality()


def assess_crosswise(calibration: Calibration, rows: HeldOut, seen: HeldOut) -> UncertaintyQuality:
    """Judge a calibration that was fitted to the test ratings themselves: each half by a fit to the other one.

    Args:
        calibration: Fitted to ``rows``; only its sizes and its range are used.
        rows: Test ratings with the model's predictions.
        seen: As it was fitted with.
    """
    if len(rows) < _HALVES:
        return assess_uncertainty(calibration, rows)
    intervals = calibration.intervals
    counts = {"user_ratings": calibration.user_ratings, "item_ratings": calibration.item_ratings}
    judged, half = _Judged(rows, **counts), np.arange(len(rows)) % _HALVES
    for number in range(_HALVES):
        range_ = intervals.min_rating, intervals.max_rating
        others = calibrate(rows.take(half != number), **counts, rating_range=range_, seen=seen)
        judged.fill(others, np.flatnonzero(half == number))
    return judged.quality()


def _by_decile(activity: np.ndarray, inside: np.ndarray) -> tuple[float | None, ...]:
    edges = np.quantile(activity, np.arange(1, 10) / 10)
    decile = np.searchsorted(edges, activity, side="right")
    rows = np.bincount(decile, minlength=10)
    shares = np.bincount(decile, inside, 10) / np.maximum(rows, 1)
    return tuple(float(share) if n >= _DECILE_ROWS else None for share, n in zip(shares, rows, strict=True))


def _crps(error: np.ndarray, sd: np.ndarray) -> float:
    """Gneiting and Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 2007, eq. 21."""
    z = error / sd
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    erf = np.vectorize(math.erf, otypes=[float])
    return float(np.mean(sd * (z * erf(z / np.sqrt(2)) + 2 * density - 1 / np.sqrt(np.pi))))


def _nll(error: np.ndarray, sd: np.ndarray) -> float:
    return float(np.mean(np.log(sd) + (error / sd) ** 2 / 2) + math.log(2 * math.pi) / 2)
