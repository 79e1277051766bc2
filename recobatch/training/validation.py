"""Ratings held out from training, and the errors on them."""

import math

import numpy as np
import tensorflow as tf

from recobatch.interactions import EncodedInteractions
from recobatch.training.epoch import compile_predict
from recobatch.training.objective import Objective, Tables

_BLOCK = 1 << 16
_BLOCK_VALUES = 1 << 23
"""Most values of a table that are gathered at once."""
_MOST_HELD_OUT = 100_000


def hold_out(n_rows: int, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Choose a share of the ratings at random to validate on, at most ``_MOST_HELD_OUT``: a mask, bool."""
    size = min(_MOST_HELD_OUT, max(1, round(fraction * n_rows)))
    held = np.zeros(n_rows, dtype=bool)
    held[rng.choice(n_rows, size, replace=False, shuffle=False)] = True
    return held


def squared_errors(objective: Objective, tables: Tables, data: EncodedInteractions) -> np.ndarray:
    """Squared error of every rating: float64, shape ``(n,)``."""
    predict, errors = compile_predict(objective), np.empty(len(data))
    size = max(1, min(_BLOCK, _BLOCK_VALUES // max(math.prod(table.shape[1:]) for table in tables)))
    for start in range(0, len(data), size):
        rows = slice(start, start + size)
        prediction = predict(tables, tf.constant(data.user_index[rows]), tf.constant(data.item_index[rows])).numpy()
        errors[rows] = (prediction.astype(np.float64) - data.rating[rows]) ** 2
    return errors
