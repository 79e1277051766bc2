"""Errors of a model on the test ratings, and the number of cold test rows."""

from dataclasses import asdict, dataclass

import numpy as np

from recobatch.errors import BadInput
from recobatch.evaluation.metrics import mean_absolute_error, mean_squared_error
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions

_BLOCK = 1 << 16
_BLOCK_VALUES = 1 << 23
"""Most values of users' factors that are gathered at once."""


@dataclass(frozen=True)
class Evaluation:
    """Errors of the predictions on the test rows, without penalty terms, cold rows included."""

    mse: float
    """Mean squared error, squared rating units."""
    rmse: float
    """Root of it, rating units."""
    mae: float
    """Mean absolute error, rating units."""
    n_rows: int
    """Test rows."""
    cold_rows: int
    """Test rows whose user or item has no rating in train."""
    cold_items: int
    """Distinct items of the test rows without a rating in train."""
    cold_users: int
    """Distinct users of the test rows without a rating in train."""

    def to_dict(self) -> dict[str, float | int]:
        """Plain values, ready for JSON."""
        return asdict(self)


def evaluate(factors: FactorModel, *, train: EncodedInteractions, test: EncodedInteractions) -> Evaluation:
    """Compare predictions with the test ratings.

    Args:
        factors: The trained model.
        train: Its training ratings; users and items without any are cold.
        test: Ratings over the same users and items.

    Raises:
        BadInput: If there are no test rows, or the model has other users or items.
    """
    if len(test) == 0:
        raise BadInput(
            "evaluate: found no test ratings, expected at least one; give more ratings or a larger test part"
        )
    if (factors.n_users, factors.n_items) != (test.n_users, test.n_items):
        raise BadInput(
            f"evaluate: found a model of {factors.n_users:,} users and {factors.n_items:,} items, expected "
            f"{test.n_users:,} and {test.n_items:,} as in the test ratings; use the model trained on the same data"
        )
    prediction = predict_rows(factors, test)
    mse = mean_squared_error(test.rating, prediction)
    cold_user = (train.user_counts() == 0)[test.user_index]
    cold_item = (train.item_counts() == 0)[test.item_index]
    return Evaluation(
        mse=mse, rmse=mse**0.5, mae=mean_absolute_error(test.rating, prediction), n_rows=len(test),
        cold_rows=int((cold_user | cold_item).sum()),
        cold_items=len(np.unique(test.item_index[cold_item])), cold_users=len(np.unique(test.user_index[cold_user])),
    )  # fmt: skip


def predict_rows(factors: FactorModel, rows: EncodedInteractions) -> np.ndarray:
    """Predict every row, block by block so that memory does not grow: float32, shape ``(n,)``."""
    prediction = np.empty(len(rows), dtype=np.float32)
    size = max(1, min(_BLOCK, _BLOCK_VALUES // max(1, factors.n_factors)))
    for start in range(0, len(rows), size):
        block = slice(start, start + size)
        prediction[block] = factors.predict_pairs(rows.user_index[block], rows.item_index[block])
    return prediction
