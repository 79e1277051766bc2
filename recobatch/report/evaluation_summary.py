"""The errors of several models on the test rows, grouped as the figures show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from recobatch.interactions import EncodedInteractions
from recobatch.report.inputs import ModelResult, ReportInputs

_STARTS = (0, 1, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
_SMALLEST_SHARE = 0.005
"""Groups with a smaller share of the rows are merged with their neighbour: their error would be noise."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Rows in groups of equal size (tenths; fewer where rows are scarce), by ascending prediction."""

    predicted: np.ndarray
    """Mean prediction per group."""
    observed: np.ndarray
    """Mean rating per group."""

    @classmethod
    def of(cls, rating: np.ndarray, prediction: np.ndarray) -> Self:
        groups = [group for group in np.array_split(np.argsort(prediction, kind="stable"), 10) if len(group)]
        return cls(*(np.array([v[g].mean(dtype=np.float64) for g in groups]) for v in (prediction, rating)))


@dataclass(frozen=True, eq=False)
class GroupErrors:
    """Error of each model in groups of test rows, by how many training ratings the row's user (or item) has."""

    labels: tuple[str, ...]
    """Such as ``20–49``."""
    group: np.ndarray
    """Group of each row, integers, shape ``(n,)``."""
    sizes: np.ndarray
    """Rows per group."""
    rmse: Mapping[str, np.ndarray]
    """Model → root mean squared error per group, rating units."""

    @classmethod
    def of(cls, counts: np.ndarray, models: Sequence[ModelResult], rating: np.ndarray) -> Self:
        """Group the rows by ``counts``, training ratings of each row's user or item, integers, shape ``(n,)``."""
        sizes = np.histogram(counts, [*_STARTS, np.iinfo(np.int64).max])[0]
        starts = _merge_small(sizes, max(1, int(_SMALLEST_SHARE * len(counts))))
        ends = [*(following - 1 for following in starts[1:]), max(starts[-1], int(counts.max()))]
        labels = (f"{a:,}" if a == b or not a else f"{a:,}–{b:,}" for a, b in zip(starts, ends, strict=True))
        group = np.searchsorted(starts, counts, side="right") - 1
        sizes = np.bincount(group)
        squared = {model.name: (model.test_prediction.astype(np.float64) - rating) ** 2 for model in models}
        rmse = {name: np.sqrt(np.bincount(group, error) / sizes) for name, error in squared.items()}
        return cls(tuple(labels), group, sizes, rmse)


def _merge_small(sizes: np.ndarray, smallest: int) -> list[int]:
    """Lower ends of the groups after small ones were merged with a neighbour; rows counting 0 stay a group."""
    starts: list[int] = []
    gathered = 0
    for start, size in zip(reversed(_STARTS[1:]), reversed(sizes[1:].tolist()), strict=True):
        gathered += size
        if gathered >= smallest:
            starts.append(start)
            gathered = 0
    if gathered:
        starts[-1:] = [_STARTS[1]]
    return [*([0] if sizes[0] else []), *reversed(starts)]


@dataclass(frozen=True, eq=False)
class Histogram:
    """Share of each bin of the rating scale among the test rows."""

    edges: np.ndarray
    """Edges of the bins, rating units, ascending."""
    ratings: np.ndarray
    """Share of the ratings in each bin, 0 to 1."""
    predictions: Mapping[str, np.ndarray]
    """Model → share of its predictions in each bin."""
    shown: tuple[float, float]
    """Limits of the axis: a few outliers would otherwise squeeze all other bins together."""

    @classmethod
    def of(cls, models: Sequence[ModelResult], rating: np.ndarray) -> Self:
        every = [rating, *(model.test_prediction for model in models)]
        low, high = min(float(values.min()) for values in every), max(float(values.max()) for values in every)
        step = 0.25 if 2 <= high - low <= 12 else (high - low) / 40 or 0.25
        edges = np.arange(np.floor(low / step) * step - step / 2, high + step, step)
        rated, *predicted = (np.histogram(values, edges)[0] / len(values) for values in every)
        percentiles = [np.percentile(model.test_prediction, [0.1, 99.9]) for model in models]
        ends = np.array([[rating.min(), rating.max()], *percentiles])
        shown = (float(ends.min()) - 2 * step, float(ends.max()) + 2 * step)
        return cls(edges, rated, {model.name: share for model, share in zip(models, predicted, strict=True)}, shown)


@dataclass(frozen=True)
class ItemError:
    """The error of one item."""

    title: str
    n_rows: int
    rating: float
    """Mean of its test ratings."""
    prediction: float
    """Mean prediction for the same rows."""
    rmse: float


def item_errors(
    test: EncodedInteractions, prediction: np.ndarray, titles: Sequence[str], at_least: int = 10
) -> list[ItemError]:
    """Items by ascending error.

    Args:
        test: The test rows.
        prediction: Of each test row, float, shape ``(n,)``.
        titles: One per item.
        at_least: Test rows an item needs to be listed; halved until twenty items have them.
    """
    n_items = len(titles)
    counts = np.bincount(test.item_index, minlength=n_items)
    while at_least > 1 and (counts >= at_least).sum() < 20:
        at_least //= 2
    listed = np.flatnonzero(counts >= at_least)
    squared = (np.asarray(prediction, np.float64) - test.rating) ** 2
    rating, predicted, mse = (
        np.bincount(test.item_index, values, n_items)[listed] / counts[listed]
        for values in (test.rating, prediction, squared)
    )
    return [
        ItemError(
            titles[listed[n]], int(counts[listed[n]]), float(rating[n]), float(predicted[n]), float(mse[n] ** 0.5)
        )
        for n in np.argsort(mse, kind="stable")
    ]


@dataclass(frozen=True, eq=False)
class EvaluationSummary:
    """The models with finite predictions on the test rows, the champion first."""

    calibration: Mapping[str, Calibration]
    by_activity: GroupErrors
    """Rows grouped by the training ratings of their user."""
    by_popularity: GroupErrors
    """Rows grouped by the training ratings of their item."""
    histogram: Histogram
    items: Mapping[str, Sequence[ItemError]]
    """Model → items with enough test rows, by ascending error."""

    @classmethod
    def of(cls, inputs: ReportInputs) -> Self | None:
        """Summarize the models whose predictions are all finite, ranked; None if there are none."""
        test, models = inputs.split.test, [model for model in inputs.ranked if model.is_finite]
        if not models:
            return None
        return cls(
            {model.name: Calibration.of(test.rating, model.test_prediction) for model in models},
            GroupErrors.of(inputs.ratings_of_user[test.user_index], models, test.rating),
            GroupErrors.of(inputs.ratings_of_item[test.item_index], models, test.rating),
            Histogram.of(models, test.rating),
            {model.name: item_errors(test, model.test_prediction, inputs.item_titles) for model in models},
        )
