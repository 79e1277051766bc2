"""How a gradient moves the tables: dense Adam as Keras does it, or SGD on the rated rows alone."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import tensorflow as tf

from recobatch.training.objective import Gradient, Tables
from recobatch.training.recipe import Recipe

Slots: TypeAlias = list[tf.Tensor]
"""What an optimizer remembers between mini-batches."""


class Update(Protocol):
    """One step of an optimizer, without state of its own. Hashable, so that equal ones share compiled code."""

    def __hash__(self) -> int:
        """Equal ones share compiled code."""

    @property
    def l2(self) -> tuple[tuple[float, ...], ...]:
        """The penalty of every table that is part of the loss, per column; empty where none is."""

    def slots(self, tables: Tables) -> Slots:
        """What to remember before the first step."""

    def step(
        self, tables: Tables, slots: Slots, gradients: list[Gradient], *, count: tf.Tensor, step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[Tables, Slots]:  # fmt: skip
        """Move the tables.

        Args:
            tables: Parameters before the step.
            slots: What was remembered.
            gradients: Of the squared error summed over the mini-batch.
            count: Ratings in the mini-batch, float32.
            step: Steps before this one since training began, float32.
            learning_rate: Of this epoch.
        """


@dataclass(frozen=True)
class DenseAdam:
    """Kingma and Ba 2015, algorithm 1, in Keras' arrangement: the penalty's gradient moves every row at every step.

    Keras itself squares the gradients of a row that occurs twice in a mini-batch one by one where its table has no
    penalty, which is no longer Adam; here they are added up first, with a penalty and without.
    """

    l2: tuple[tuple[float, ...], ...]
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def slots(self, tables: Tables) -> Slots:
        return [tf.zeros_like(table) for table in tables * 2]

    def step(
        self, tables: Tables, slots: Slots, gradients: list[Gradient], *, count: tf.Tensor, step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[Tables, Slots]:  # fmt: skip
        alpha = learning_rate * tf.sqrt(1 - self.beta_2 ** (step + 1)) / (1 - self.beta_1 ** (step + 1))
        n, moved, momentums, velocities = len(tables), [], [], []
        for table, m, v, gradient, l2 in zip(tables, slots[:n], slots[n:], gradients, self.l2, strict=True):
            g = _dense(2 * tf.constant(l2) * table, gradient, 1 / count)
            m += (g - m) * (1 - self.beta_1)
            v += (g * g - v) * (1 - self.beta_2)
            moved.append(table - alpha * m / (tf.sqrt(v) + self.epsilon))
            momentums.append(m)
            velocities.append(v)
        return moved, momentums + velocities


@dataclass(frozen=True)
class SparseSgd:
    """Each rating moves its own rows: ``row -= learning_rate * (error gradient / 2 + l2_per_rating * row)``.

    Koren, Bell, Volinsky 2009, section "Stochastic gradient descent"; a mini-batch's moves are summed, not averaged, so
    the learning rate means the same at every mini-batch size.
    """

    l2_per_rating: float
    rating_unit: float = 1.0
    """A quarter of the rating range: with it, learning rate and penalty mean the same on every rating scale."""
    l2: tuple[tuple[float, ...], ...] = ()

    def slots(self, tables: Tables) -> Slots:
        return []

    def step(
        self, tables: Tables, slots: Slots, gradients: list[Gradient], *, count: tf.Tensor, step: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[Tables, Slots]:  # fmt: skip
        return [
            self._move(table, gradient, learning_rate) for table, gradient in zip(tables, gradients, strict=True)
        ], slots

    def _move(self, table: tf.Tensor, gradient: Gradient, learning_rate: tf.Tensor) -> tf.Tensor:
        scale = 0.5 / self.rating_unit**2
        if not isinstance(gradient, tf.IndexedSlices):
            return table - learning_rate * scale * gradient
        rows = scale * gradient.values + self.l2_per_rating * tf.gather(table, gradient.indices)
        return tf.tensor_scatter_nd_add(table, gradient.indices[:, None], -learning_rate * rows)


def update_of(recipe: Recipe, *, l2: tuple[tuple[float, ...], ...], rating_span: float) -> Update:
    """The optimizer that a recipe names.

    Args:
        recipe: Names it and its penalty per rating.
        l2: The model's own penalty per table and column.
        rating_span: Highest minus lowest rating.
    """
    if recipe.optimizer == "adam":
        return DenseAdam(l2)
    return SparseSgd(recipe.l2_per_rating, rating_span / 4 if rating_span > 0 else 1.0)


def _dense(base: tf.Tensor, gradient: Gradient, scale: tf.Tensor) -> tf.Tensor:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(base, gradient.indices[:, None], gradient.values * scale)
    return base + gradient * scale
