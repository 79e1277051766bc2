"""How well sds and intervals fit ratings that had no part in the calibration. NumPy only."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recobatch.evaluation.calibration import Calibration
from recobatch.evaluation.noise import HeldOut


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
