"""What the summary of a batch says of models: those of ratings, of interest, and baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows.results.figures import Figures


@dataclass(frozen=True)
class ModelSummary(Figures):
    """One model of a batch."""

    mlflow_run_id: str
    mlflow_url: str | None = None
    loss: Sequence[float | None] | None = None
    """Per epoch; None as a whole where the batch did not train the model."""
    val_loss: Sequence[float | None] | None = None
    best_epoch: int | None = None
    validation_mse: float | None = None
    validation_se: float | None = None
    """Standard error of ``validation_mse``."""
    validation_behind: float | None = None
    """Difference of ``validation_mse`` from the lowest of the batch."""
    validation_behind_se: float | None = None
    """Standard error of that difference, from the differences rating by rating."""
    test_mse: float | None = None
    test_rmse: float | None = None
    test_mae: float | None = None
    cold_rows: int | None = None
    cold_items: int | None = None
    cold_users: int | None = None
    train_seconds: float | None = None
    compile_seconds: float | None = None
    trained_on: str | None = None
    """Ratings that the published model knows: ``all ratings`` or ``train part``; errors are of the latter."""
    refit_failed: str | None = None
    """Why a champion that was to know all ratings knows the train part alone: its training on all of them diverged."""
    rank_by: str | None = None
    """What its lists are ranked by."""
    rankings: Mapping[str, Any] | None = None
    """Quality of its lists on the test part: of those published, and of other ways to rank below ``other_ways``."""
    calibrated_on: str | None = None
    """Ratings that its intervals are calibrated on."""
    coverage_90: float | None = None
    """Share of the test ratings within their 90 % intervals."""
    interval_width: float | None = None
    """Mean length of these intervals, in rating units."""
    sd_error_correlation: float | None = None
    """Correlation of the sd with the absolute error."""
    crps: float | None = None
    """Mean continuous ranked probability score of normal distributions, in rating units."""
    crps_constant: float | None = None
    """The same with one sd for all pairs."""
    nll: float | None = None
    """Mean negative log likelihood of normal distributions."""
    nll_constant: float | None = None
    """The same with one sd for all pairs."""
    coverage_90_by_user_activity: Sequence[float | None] | None = None
    """By decile; None for a decile with fewer than 300 rows."""
    coverage_90_by_item_popularity: Sequence[float | None] | None = None
    """Likewise."""

    @property
    def _nullable(self) -> tuple[str, ...]:
        return ("mlflow_url",) if self.loss is None else ("mlflow_url", "validation_mse")


@dataclass(frozen=True)
class BaselineSummary(Figures):
    """A predictor without a model."""

    test_mse: float | None = None
    rankings: Mapping[str, Any] | None = None
    """Quality of its lists on the test part."""


@dataclass(frozen=True)
class InterestSummary(Figures):
    """The model of interest of a batch."""

    mlflow_run_id: str
    mlflow_url: str | None = None
    chosen: str | None = None
    """Method and hyperparameters."""
    rank_by: str | None = None
    """The way to rank that was best on ratings held out from training."""
    validation_ndcg: Mapping[str, float] | None = None
    """Way to rank → NDCG on these ratings."""
    train_seconds: float | None = None

    @property
    def _nullable(self) -> tuple[str, ...]:
        return ("mlflow_url",)
