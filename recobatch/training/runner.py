"""Epochs of one objective and recipe, in calls that take a second or two at most."""

import time
from dataclasses import dataclass

import tensorflow as tf

from recobatch.training.epoch import compile_epoch, penalty_stride, steps_at_once
from recobatch.training.epoch_data import EpochData, padded_length
from recobatch.training.objective import Objective, Tables
from recobatch.training.recipe import Recipe
from recobatch.training.updates import Slots, Update


@dataclass(frozen=True)
class Runner:
    """The compiled epoch of one objective and recipe."""

    objective: Objective
    update: Update
    recipe: Recipe
    batch_size: int

    def rate(self, number: int) -> float:
        """The recipe's learning rate in epoch ``number``, from 0."""
        return self.recipe.learning_rate * self.recipe.decay**number

    def epoch(
        self, number: int, rate: float, tables: Tables, slots: Slots, epoch_data: EpochData
    ) -> tuple[Tables, Slots, float]:
        """Run epoch ``number``, from 0; returns the mean loss too."""
        stride = penalty_stride(padded_length(epoch_data.n_rows, self.batch_size), self.batch_size)
        steps, total = steps_at_once(self.update.values_per_step(tables, self.batch_size), stride), 0.0
        before = number * -(-epoch_data.n_rows // self.batch_size)
        for columns, n_rows in epoch_data.parts():
            n_steps = -(-n_rows // self.batch_size)
            for first in range(0, n_steps, steps):  # between two calls, a signal is obeyed
                tables, slots, part = self._call(tables, slots, columns, n_rows, (first, steps, before, stride), rate)
                total += float(part)
            before += n_steps
        return tables, slots, total / epoch_data.n_rows

    def compile(self, tables: Tables, epoch_data: EpochData) -> float:
        """Compile by running an epoch of no rows; returns the seconds it took."""
        started = time.perf_counter()
        self._call(tables, self.update.slots(tables), epoch_data.nothing(), 0, (0, 0, 0, 1), 0.0)
        return time.perf_counter() - started

    def _call(
        self, tables: Tables, slots: Slots, columns: list[tf.Tensor], n_rows: int,
        steps: tuple[int, int, int, int], rate: float,
    ) -> tuple[Tables, Slots, tf.Tensor]:  # fmt: skip
        """Run mini-batches: ``steps`` are the first one, their largest number, those before, and the stride."""
        run = compile_epoch(self.objective, self.update, self.batch_size)
        return run(
            tables, slots, *columns, tf.constant(n_rows), *map(tf.constant, steps), tf.constant(rate, tf.float32),
            tf.constant(self.recipe.l2_per_rating, tf.float32),
        )  # fmt: skip
