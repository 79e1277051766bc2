"""Errors on the test part of a fold, warm and cold rows apart. NumPy only."""

from dataclasses import dataclass

import numpy as np

from recobatch.evaluation.evaluate import predict_rows
from recobatch.evaluation.metrics import mean_absolute_error, mean_squared_error
from recobatch.factors import FactorModel
from recobatch.interactions import Split


@dataclass(frozen=True)
class FoldErrors:
    """Errors of a model on one fold; None where there are no such rows."""

    test_mse: float
    """Mean squared error of all test rows, squared rating units."""
    test_rmse: float
    """Root of it, rating units."""
    test_mae: float
    """Mean absolute error, rating units."""
    warm_mse: float | None
    """Of rows whose user and item have training ratings."""
    cold_mse: float | None
    """Of the other rows."""


def is_warm(split: Split) -> np.ndarray:
    """Whether the user and the item of each test row have training ratings: bool, shape ``(n,)``."""
    train, test = split.train, split.test
    rated = (train.user_counts() > 0)[test.user_index]
    return rated & (train.item_counts() > 0)[test.item_index]


def fold_errors(factors: FactorModel, split: Split) -> FoldErrors:
    """Compare predictions with the test ratings of a fold.

    Args:
        factors: Trained on the training part.
        split: The fold, with at least one test row.
    """
    rating, prediction, warm = split.test.rating, predict_rows(factors, split.test), is_warm(split)
    mse = mean_squared_error(rating, prediction)
    parts = [mean_squared_error(rating[rows], prediction[rows]) if rows.any() else None for rows in (warm, ~warm)]
    return FoldErrors(mse, mse**0.5, mean_absolute_error(rating, prediction), *parts)
