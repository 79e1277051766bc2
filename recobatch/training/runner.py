"""Epochs of one objective and recipe, in calls that take a second or two at most."""

import time
from dataclasses import dataclass

import tensorflow as tf

from recobatch.training.epoch import compile_epoch, steps_at_once
from recobatch.training.epoch_data import EpochData
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
        n_steps, columns, total = -(-epoch_data.n_rows // self.batch_size), epoch_data.shuffle(), 0.0
        values = self.update.values_per_step(tables, self.batch_size)
        steps = steps_at_once(values, len(epoch_data.columns[0]), self.batch_size)
        for first in range(0, n_steps, steps):  # between two calls, a signal is obeyed
            tables, slots, part = self._call(
                tables, slots, columns, epoch_data.n_rows, (first, steps, number * n_steps), rate
            )
            total += float(part)
        return tables, slots, total / epoch_data.n_rows

    def compile(self, tables: Tables, epoch_data: EpochData) -> float:
        """Compile by running an epoch of no rows; returns the seconds it took."""
        started = time.perf_counter()
        columns = [tf.convert_to_tensor(column) for column in epoch_data.columns]
        self._call(tables, self.update.slots(tables), columns, 0, (0, 0, 0), 0.0)
        return time.perf_counter() - started

    def _call(
        self, tables: Tables, slots: Slots, columns: list[tf.Tensor], n_rows: int,
        steps: tuple[int, int, int], rate: float,
    ) -> tuple[Tables, Slots, tf.Tensor]:  # fmt: skip
        """Run mini-batches: ``steps`` are the first one, their largest number, and those of earlier epochs."""
        run = compile_epoch(self.objective, self.update, self.batch_size)
        return run(
            tables, slots, *columns, tf.constant(n_rows), *map(tf.constant, steps), tf.constant(rate, tf.float32),
            tf.constant(self.recipe.l2_per_rating, tf.float32),
        )  # fmt: skip
