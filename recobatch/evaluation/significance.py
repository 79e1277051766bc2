"""Figures of several folds: mean and spread, and a paired test between two models. The door to SciPy."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Spread:
    """One figure of one model over the folds."""

    mean: float | None
    """Over the folds that have it; None if none has."""
    sd: float | None
    """Standard deviation between these folds; None for fewer than two."""
    folds: tuple[float | None, ...]
    """By fold."""

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Spread":
        """Summarize figures by fold; None and what is not finite count as missing."""
        folds = tuple(value if value is not None and math.isfinite(value) else None for value in values)
        known = [value for value in folds if value is not None]
        mean = float(np.mean(known)) if known else None
        return cls(mean, float(np.std(known, ddof=1)) if len(known) > 1 else None, folds)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"mean": self.mean, "sd": self.sd, "folds": list(self.folds)}


@dataclass(frozen=True)
class PairedTest:
    """Whether two models differ in a figure, by the differences on the same folds."""

    metric: str
    first: str
    """Name of a model."""
    second: str
    difference: float
    """Mean of the first model's figure minus the second's."""
    p_value: float | None
    """Two-sided; None where the folds are fewer than two, or all differences are equal."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


def paired_test(
    metric: str, models: tuple[str, str], figures: tuple[Spread, Spread], *, test_share: float | None
) -> PairedTest | None:
    """Student's paired t-test over the folds.

    Folds that draw from the same ratings share most of their training ratings, so that their differences vary less than
    those of independent experiments: the variance is then corrected (Nadeau and Bengio, "Inference for the
    generalization error", Machine Learning 52, 2003, eq. 8).

    Args:
        metric: Name of the figure.
        models: Names of the two models.
        figures: Their figures by fold.
        test_share: Test ratings over training ratings of such folds; None for windows over time, which are not
            corrected.

    Returns:
        None if the models have no fold in common.
    """
    both = [(a, b) for a, b in zip(figures[0].folds, figures[1].folds, strict=True) if a is not None and b is not None]
    if not both:
        return None
    difference = np.array([a - b for a, b in both])
    mean, n = float(difference.mean()), len(difference)
    p_value = None
    if n > 1 and (variance := float(difference.var(ddof=1))) > 0:
        if test_share is None:
            p_value = float(stats.ttest_1samp(difference, 0).pvalue)
        else:
            p_value = float(2 * stats.t.sf(abs(mean) / math.sqrt((1 / n + test_share) * variance), n - 1))
    return PairedTest(metric, *models, mean, p_value)
