"""All that the pictures show of some models on the test rows, gathered once however often it is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recobatch.report.grouping import Calibration, CountGroups, calibrate, group_by_count
from recobatch.report.inputs import ModelResult, TestRows


@dataclass(frozen=True, eq=False)
class GroupErrors:
    """Error of each model in groups of test rows."""

    groups: CountGroups
    rmse: Mapping[str, np.ndarray]
    """Model → root mean squared error per group, rating units."""


@dataclass(frozen=True, eq=False)
class Shares:
    """How often each slice of the rating scale occurs among the test rows."""

    edges: np.ndarray
    """Ends of the slices, rating units, ascending."""
    ratings: np.ndarray
    """Share of the ratings in each slice, 0 to 1."""
    predictions: Mapping[str, np.ndarray]
    """Model → share of its predictions in each slice."""
    shown: tuple[float, float]
    """The part of the scale worth drawing: a handful of wild predictions would squeeze all the others together."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Models on the test rows, in the order in which they were given."""

    calibration: Mapping[str, Calibration]
    by_activity: GroupErrors
    """Rows grouped by the training ratings of their user."""
    by_popularity: GroupErrors
    """Rows grouped by the training ratings of their item."""
    shares: Shares


def judge(models: Sequence[ModelResult], test: TestRows) -> Judged:
    """Gather what is drawn of ``models``, whose predictions are all numbers."""
    return Judged(
        {model.name: calibrate(test.rating, model.test_prediction) for model in models},
        _group_errors(models, test, test.ratings_of_user[test.user_index]),
        _group_errors(models, test, test.ratings_of_item[test.item_index]),
        _shares(models, test),
    )


def _group_errors(models: Sequence[ModelResult], test: TestRows, counts: np.ndarray) -> GroupErrors:
    groups = group_by_count(counts)
    return GroupErrors(groups, {model.name: groups.rmse(test.rating, model.test_prediction) for model in models})


def _shares(models: Sequence[ModelResult], test: TestRows) -> Shares:
    every = [test.rating, *(model.test_prediction for model in models)]
    low, high = min(float(values.min()) for values in every), max(float(values.max()) for values in every)
    step = 0.25 if high - low <= 12 else (high - low) / 40
    edges = np.arange(np.floor(low / step) * step - step / 2, high + step, step)
    rated, *predicted = (np.histogram(values, edges)[0] / len(values) for values in every)
    ends = [np.percentile(values, [0.1, 99.9]) for values in every[1:]]
    shown = (
        min(float(test.rating.min()), *(float(end[0]) for end in ends)) - 2 * step,
        max(float(test.rating.max()), *(float(end[1]) for end in ends)) + 2 * step,
    )
    return Shares(edges, rated, {model.name: share for model, share in zip(models, predicted, strict=True)}, shown)
