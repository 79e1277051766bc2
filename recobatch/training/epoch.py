"""The compiled part: one call runs a whole epoch, one call predicts a block of ratings."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import tensorflow as tf

from recobatch.training.objective import Objective, Tables
from recobatch.training.updates import Slots, Update

EpochCall = Callable[..., tuple[Tables, Slots, tf.Tensor]]
PredictCall = Callable[..., tf.Tensor]


@lru_cache(maxsize=4)
def compile_epoch(objective: Objective, update: Update, batch_size: int) -> EpochCall:
    """Build ``run(tables, slots, user, item, rating, n_rows, steps_before, learning_rate)``.

    The columns have at least ``n_rows`` rows and a multiple of ``batch_size``; rows from ``n_rows`` on are never used,
    so that data of similar size share the compiled code. Returns tables, slots, and the summed loss of the epoch.
    """

    @tf.function(jit_compile=True, autograph=False)
    def run(
        tables: Tables, slots: Slots, user: tf.Tensor, item: tf.Tensor, rating: tf.Tensor,
        n_rows: tf.Tensor, steps_before: tf.Tensor, learning_rate: tf.Tensor,
    ) -> tuple[Tables, Slots, tf.Tensor]:  # fmt: skip
        def body(step: tf.Tensor, tables: Tables, slots: Slots, loss: tf.Tensor) -> tuple:
            start = step * batch_size
            users, items, ratings = (tf.slice(column, [start], [batch_size]) for column in (user, item, rating))
            weight = tf.cast(start + tf.range(batch_size) < n_rows, tf.float32)
            count = tf.reduce_sum(weight)
            squared, gradients = objective.error(tables, users, items, ratings, weight)
            loss += squared + count * penalty(tables, objective.l2)
            tables, slots = update.step(
                tables, slots, gradients, count=count, step=tf.cast(steps_before + step, tf.float32),
                learning_rate=learning_rate,
            )  # fmt: skip
            return step + 1, tables, slots, loss

        n_steps = (n_rows + batch_size - 1) // batch_size
        start = (tf.constant(0), tables, slots, tf.constant(0.0))
        _, tables, slots, loss = tf.while_loop(lambda step, *_: step < n_steps, body, start)
        return tables, slots, loss

    return run


@lru_cache(maxsize=4)
def compile_predict(objective: Objective) -> PredictCall:
    """Build ``predict(tables, user, item)`` for blocks of any size."""
    return tf.function(objective.predict, autograph=False, reduce_retracing=True)


def penalty(tables: Tables, l2: tuple[tuple[float, ...], ...]) -> tf.Tensor:
    """Keras' regularisation loss of all tables; columns are summed first, which vectorises."""
    terms = [
        tf.reduce_sum(tf.constant(factors) * tf.reduce_sum(table * table, 0))
        for table, factors in zip(tables, l2, strict=True)
        if any(factors)
    ]
    return tf.add_n(terms) if terms else tf.constant(0.0)


def padded(column: np.ndarray, order: np.ndarray | None, length: int) -> tf.Tensor:
    """A column in the given order, lengthened with zeros to ``length`` rows."""
    out = np.zeros(length, dtype=column.dtype)
    if order is None:
        out[: len(column)] = column
    else:
        np.take(column, order, out=out[: len(column)])
    return tf.convert_to_tensor(out)


def padded_length(n_rows: int, batch_size: int) -> int:
    """Round up to whole mini-batches, at most an eighth more than needed, so that few lengths are ever compiled."""
    n_steps = -(-n_rows // batch_size)
    grain = 1 << max(0, n_steps.bit_length() - 4)
    return -(-n_steps // grain) * grain * batch_size
