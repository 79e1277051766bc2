"""Optimizers: dense Adam as in Keras, or SGD on the rated rows only."""

import math
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import tensorflow as tf

from recobatch.training.objective import Gradient, Tables
from recobatch.training.recipe import Recipe

Slots: TypeAlias = list[tf.Tensor]
"""State of an optimizer between mini-batches."""


class Update(Protocol):
    """A stateless optimizer step. Hashable, so that equal ones share compiled code."""

    def __hash__(self) -> int:
        """Equal ones share compiled code."""

    @property
    def l2(self) -> tuple[tuple[float, ...], ...]:
        """Penalty in the loss, per table and column; empty if there is none."""

    def slots(self, tables: Tables) -> Slots:
        """The state before the first step."""

    def values_per_step(self, tables: Tables, batch_size: int) -> int:
        """Parameters that a mini-batch touches."""

    def step(
        self, tables: Tables, slots: Slots, gradients: list[Gradient], *, count: tf.Tensor, step: tf.Tensor,
        learning_rate: tf.Tensor, l2_per_rating: tf.Tensor,
    ) -> tuple[Tables, Slots]:  # fmt: skip
        """Update the tables.

        Args:
            tables: Parameters before the step.
            slots: State before the step.
            gradients: Of the squared error summed over the mini-batch.
            count: Ratings in the mini-batch, float32.
            step: Steps before this one since training began, float32.
            learning_rate: Of this epoch.
            l2_per_rating: Of the recipe; not a part of the update, so that recipes that differ in it share code.
        """


@dataclass(frozen=True)
class DenseAdam:
    """Kingma and Ba 2015, algorithm 1, as arranged in Keras: the penalty's gradient updates every row at every step.

    Keras squares the gradients of a row that occurs twice in a mini-batch separately if its table has no penalty, which
    deviates from Adam. Here they are always added up first.
    """

    l2: tuple[tuple[float, ...], ...]
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def slots(self, tables: Tables) -> Slots:
        return [tf.zeros_like(table) for table in tables * 2]

    def values_per_step(self, tables: Tables, batch_size: int) -> int:
        return sum(math.prod(table.shape) for table in tables)

    def step(
        self, tables: Tables, slots: Slots, gradients: list[Gradient], *, count: tf.Tensor, step: tf.Tensor,
        learning_rate: tf.Tensor, l2_per_rating: tf.Tensor,
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
    """Each rating updates its own rows: ``row -= learning_rate * (error gradient / 2 + l2_per_rating * row)``.

    Koren, Bell, Volinsky 2009, section "Stochastic gradient descent". The updates of a mini-batch are summed, not
    averaged, so that the learning rate does not depend on the mini-batch size.
    """

    l2: tuple[tuple[float, ...], ...] = ()

    def slots(self, tables: Tables) -> Slots:
        return []

    def values_per_step(self, tables: Tables, batch_size: int) -> int:
        return batch_size * sum(math.prod(table.shape[1:]) for table in tables)

    def step(
        self, tables: Tables, slots: Slots, gradients: list[Gradient], *, count: tf.Tensor, step: tf.Tensor,
        learning_rate: tf.Tensor, l2_per_rating: tf.Tensor,
    ) -> tuple[Tables, Slots]:  # fmt: skip
        return [
            self._move(table, gradient, learning_rate, l2_per_rating)
            for table, gradient in zip(tables, gradients, strict=True)
        ], slots

    def _move(
        self, table: tf.Tensor, gradient: Gradient, learning_rate: tf.Tensor, l2_per_rating: tf.Tensor
    ) -> tf.Tensor:
        if not isinstance(gradient, tf.IndexedSlices):
            return table - learning_rate / 2 * gradient
        rows = gradient.values / 2 + l2_per_rating * tf.gather(table, gradient.indices)
        return tf.tensor_scatter_nd_add(table, gradient.indices[:, None], -learning_rate * rows)


def update_of(recipe: Recipe, *, l2: tuple[tuple[float, ...], ...]) -> Update:
    """The optimizer of a recipe; ``l2`` is the model's own penalty per table and column."""
    return DenseAdam(l2) if recipe.optimizer == "adam" else SparseSgd()


def _dense(base: tf.Tensor, gradient: Gradient, scale: tf.Tensor) -> tf.Tensor:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(base, gradient.indices[:, None], gradient.values * scale)
    return base + gradient * scale
