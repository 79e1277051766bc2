"""The errors of several models on the test rows, grouped as the figures show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from recobatch.report.grouping import Calibration, CountGroups, calibrate, group_by_count
from recobatch.report.inputs import ModelResult, TestRows


@dataclass(frozen=True, eq=False)
class GroupErrors:
    """Error of each model in groups of test rows."""

    groups: CountGroups
    rmse: Mapping[str, np.ndarray]
    """Model → root mean squared error per group, rating units."""

    @classmethod
    def of(cls, counts: np.ndarray, models: Sequence[ModelResult], test: TestRows) -> Self:
        """Group the rows by ``counts``, training ratings of each row's user or item."""
        groups = group_by_count(counts)
        return cls(groups, {model.name: groups.rmse(test.rating, model.test_prediction) for model in models})


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
    def of(cls, models: Sequence[ModelResult], test: TestRows) -> Self:
        every = [test.rating, *(model.test_prediction for model in models)]
        low, high = min(float(values.min()) for values in every), max(float(values.max()) for values in every)
        step = 0.25 if high - low <= 12 else (high - low) / 40
        edges = np.arange(np.floor(low / step) * step - step / 2, high + step, step)
        rated, *predicted = (np.histogram(values, edges)[0] / len(values) for values in every)
        percentiles = [np.percentile(model.test_prediction, [0.1, 99.9]) for model in models]
        ends = np.array([[test.rating.min(), test.rating.max()], *percentiles])
        shown = (float(ends.min()) - 2 * step, float(ends.max()) + 2 * step)
        return cls(edges, rated, {model.name: share for model, share in zip(models, predicted, strict=True)}, shown)


@dataclass(frozen=True, eq=False)
class EvaluationSummary:
    """Models on the test rows, in the order in which they were given."""

    calibration: Mapping[str, Calibration]
    by_activity: GroupErrors
    """Rows grouped by the training ratings of their user."""
    by_popularity: GroupErrors
    """Rows grouped by the training ratings of their item."""
    histogram: Histogram

    @classmethod
    def of(cls, models: Sequence[ModelResult], test: TestRows) -> Self:
        """Summarize ``models``, whose predictions are all finite."""
        return cls(
            {model.name: calibrate(test.rating, model.test_prediction) for model in models},
            GroupErrors.of(test.ratings_of_user[test.user_index], models, test),
            GroupErrors.of(test.ratings_of_item[test.item_index], models, test),
            Histogram.of(models, test),
        )
