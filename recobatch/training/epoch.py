"""The compiled part: one call runs a whole epoch, one call predicts a block of ratings."""

from collections.abc import Callable
from functools import lru_cache

import tensorflow as tf

from recobatch.training.objective import Objective, Tables
from recobatch.training.updates import Slots, Update

EpochCall = Callable[..., tuple[Tables, Slots, tf.Tensor]]
PredictCall = Callable[..., tf.Tensor]
# The penalty of all parameters at every mini-batch would double an epoch's time; it changes slowly, so it is sampled.
_PENALTY_SAMPLES = 64
_MOST_VALUES = 2_000_000_000
"""Parameters that one call updates, one at several mini-batches counted as often: a second or two."""


@lru_cache(maxsize=4)
def compile_epoch(objective: Objective, update: Update, batch_size: int) -> EpochCall:
    """Build ``run(tables, slots, user, item, rating, n_rows, first, steps, steps_before, stride, learning_rate,
    l2_per_rating)``.

    The length of the columns is at least ``n_rows`` and a multiple of ``batch_size``. Rows from ``n_rows`` on are
    padding, so that data of similar size share the compiled code. At most ``steps`` mini-batches from ``first`` on are
    run, and the penalty is computed at every ``stride``-th. Returns tables, slots, and the summed loss of these.
    """

    @tf.function(jit_compile=True, autograph=False)
    def run(
        tables: Tables, slots: Slots, user: tf.Tensor, item: tf.Tensor, rating: tf.Tensor,
        n_rows: tf.Tensor, first: tf.Tensor, steps: tf.Tensor, steps_before: tf.Tensor, stride: tf.Tensor,
        learning_rate: tf.Tensor, l2_per_rating: tf.Tensor,
    ) -> tuple[Tables, Slots, tf.Tensor]:  # fmt: skip
        n_steps = tf.minimum((n_rows + batch_size - 1) // batch_size, first + steps)

        def mini_batch(step: tf.Tensor, tables: Tables, slots: Slots, loss: tf.Tensor) -> tuple:
            start = step * batch_size
            users, items, ratings = (tf.slice(column, [start], [batch_size]) for column in (user, item, rating))
            weight = tf.cast(start + tf.range(batch_size) < n_rows, tf.float32)
            squared, gradients = objective.error(tables, users, items, ratings, weight)
            tables, slots = update.step(
                tables, slots, gradients, count=tf.reduce_sum(weight), step=tf.cast(steps_before + step, tf.float32),
                learning_rate=learning_rate, l2_per_rating=l2_per_rating,
            )  # fmt: skip
            return step + 1, tables, slots, loss + squared

        def stretch(step: tf.Tensor, tables: Tables, slots: Slots, loss: tf.Tensor) -> tuple:
            end = tf.minimum(step + stride, n_steps)
            rows = tf.minimum(end * batch_size, n_rows) - step * batch_size
            loss += tf.cast(rows, tf.float32) * penalty(tables, update.l2)
            return tf.while_loop(lambda step, *_: step < end, mini_batch, (step, tables, slots, loss))

        start = (first, tables, slots, tf.constant(0.0))
        _, tables, slots, loss = tf.while_loop(lambda step, *_: step < n_steps, stretch, start)
        return tables, slots, loss

    return run


def penalty_stride(n_rows: int, batch_size: int) -> int:
    """Mini-batches between two samples of the penalty in an epoch of so many ratings, padded ones included."""
    return max(1, n_rows // batch_size // _PENALTY_SAMPLES)


def steps_at_once(values_per_step: int, stride: int) -> int:
    """Mini-batches of one call: it can be interrupted only after it.

    Args:
        values_per_step: Parameters that a mini-batch touches.
        stride: Mini-batches between two samples of the penalty.
    """
    return max(1, _MOST_VALUES // max(1, values_per_step) // stride) * stride


@lru_cache(maxsize=4)
def compile_predict(objective: Objective) -> PredictCall:
    """Build ``predict(tables, user, item)`` for blocks of any size."""
    return tf.function(objective.predict, autograph=False, reduce_retracing=True)


def penalty(tables: Tables, l2: tuple[tuple[float, ...], ...]) -> tf.Tensor:
    """Keras' regularisation loss of all tables; columns are summed first, which vectorises."""
    terms = [
        tf.reduce_sum(tf.constant(factors) * tf.reduce_sum(table * table, 0))
        for table, factors in zip(tables, l2, strict=bool(l2))
        if any(factors)
    ]
    return tf.add_n(terms) if terms else tf.constant(0.0)
