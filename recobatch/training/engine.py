"""The training loop: epochs, validation, early stopping, callbacks. One engine for every model."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np

from recobatch.errors import BadSettings, TrainingDiverged
from recobatch.interactions import EncodedInteractions
from recobatch.training.callbacks import EpochCallbacks
from recobatch.training.epoch import penalty
from recobatch.training.epoch_data import EpochData, build_epoch_data, part_length
from recobatch.training.history import History
from recobatch.training.objective import Tables, objective_of
from recobatch.training.recipe import Recipe
from recobatch.training.runner import Runner
from recobatch.training.stopping import EarlyStopping, standard_error
from recobatch.training.updates import update_of
from recobatch.training.validation import hold_out, squared_errors

OnEpoch = Callable[[int, float, float], None]
OnValidation = Callable[[np.ndarray], None]
_REFIT_FROM = 0.01
_MOST_REPEATS = 4


@dataclass
class _Progress:
    """State of the training loop."""

    best: Tables
    stopping: EarlyStopping | None
    """None without a patience or without validation ratings: the last epoch is then kept."""
    best_epoch: int = 0
    best_errors: np.ndarray | None = None
    """Squared error of every validation rating in the best epoch."""
    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    """Learning rate of every epoch, with the changes by callbacks."""
    digests: dict[str, int] = field(default_factory=dict)
    """Digest of an epoch's weights → its number, where callbacks may restore them."""
    stopped: bool = False
    refitted: bool = False

    def logs(self) -> dict[str, float]:
        """The last epoch's losses, in the form that Keras passes to callbacks."""
        return {name: values[-1] for name, values in (("loss", self.loss), ("val_loss", self.val_loss)) if values}


def train(
    model: keras.Model, data: EncodedInteractions, *, validation: EncodedInteractions | None, recipe: Recipe, seed: int,
    on_epoch: OnEpoch | None = None, on_validation: OnValidation | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (), room: int = 0,
) -> History:  # fmt: skip
    """Train ``model`` in place; see ``recobatch.training.train``."""
    rng, held = np.random.default_rng([seed, 1]), None
    if validation is None and recipe.validation_fraction:
        held = hold_out(len(data), recipe.validation_fraction, rng)
        validation = data.take(held)
    n_held = 0 if held is None else len(validation or ())
    _check(model, len(data) - n_held, validation, recipe)
    objective = objective_of(model)
    update = update_of(recipe, l2=objective.l2)
    runner = Runner(objective, update, recipe, _batch_size(recipe, data, held))
    hooks = EpochCallbacks(callbacks, model, epochs=recipe.epochs, steps=-(-(len(data) - n_held) // runner.batch_size))
    start = objective.read(model)
    length = part_length(max(len(data), room), runner.batch_size)
    order = rng if recipe.shuffle else None
    epoch_data = build_epoch_data(data, length=length, rng=order, held=held)
    compile_seconds = runner.compile(start, epoch_data)
    progress = _Progress(start, _stopping(recipe, validation))
    started = time.perf_counter()
    try:
        hooks.begin_training()
        _run(model, runner, progress, epoch_data, validation, on_epoch, hooks)
        if hooks:
            _end_callbacks(model, runner, progress, validation, hooks)
        if on_validation is not None and progress.best_errors is not None:
            on_validation(progress.best_errors)
        if recipe.refit and n_held >= _REFIT_FROM * len(data):
            _refit(runner, progress, start, build_epoch_data(data, length=length, rng=order))
    finally:
        objective.write(model, progress.best)
    errors = progress.best_errors
    return History(
        loss=progress.loss, val_loss=progress.val_loss, best_epoch=progress.best_epoch,
        val_se=None if errors is None else standard_error(errors), stopped_early=progress.stopped,
        val_mse=None if errors is None else float(errors.mean()),
        refitted=progress.refitted, seconds=time.perf_counter() - started, compile_seconds=compile_seconds,
    )  # fmt: skip


def _run(
    model: keras.Model, runner: Runner, progress: _Progress, epoch_data: EpochData,
    validation: EncodedInteractions | None, on_epoch: OnEpoch | None, hooks: EpochCallbacks,
) -> None:  # fmt: skip
    """Run epochs up to the recipe's number, or until early stopping or a callback ends training."""
    tables, slots = progress.best, runner.update.slots(progress.best)
    for number in range(runner.recipe.epochs):
        rate = hooks.begin_epoch(number, runner.rate(number))
        progress.rates.append(rate)
        tables, slots, loss = runner.epoch(number, rate, tables, slots, epoch_data)
        _record(model.name, progress, runner, tables, loss, validation)
        if on_epoch is not None:
            on_epoch(number + 1, loss, progress.val_loss[-1] if validation is not None else float("nan"))
        if hooks:
            runner.objective.write(model, tables)
            progress.digests[_digest(tables)] = number + 1
            hooks.end_epoch(number, runner.rate(number), progress.logs())
        if progress.stopped or model.stop_training:
            progress.stopped = number + 1 < runner.recipe.epochs
            return


def _record(
    name: str, progress: _Progress, runner: Runner, tables: Tables, loss: float,
    validation: EncodedInteractions | None,
) -> None:  # fmt: skip
    """Record an epoch's losses, keep its weights if they are the best, and check the patience."""
    progress.loss.append(loss)
    epoch, errors = len(progress.loss), None
    if not np.isfinite(loss):
        raise TrainingDiverged(
            f"training {name}: found a loss of {loss} in epoch {epoch}, expected a finite one; lower "
            f"train.learning_rate, it is {runner.recipe.learning_rate:g}"
        )
    if validation is not None:
        errors = squared_errors(runner.objective, tables, validation)
        progress.val_loss.append(float(errors.mean()) + float(penalty(tables, runner.update.l2)))
    stopping = progress.stopping
    if stopping is None or errors is None:
        progress.best, progress.best_epoch, progress.best_errors = tables, epoch, errors
        return
    if stopping.is_best(epoch, errors):
        progress.best, progress.best_epoch, progress.best_errors = tables, epoch, errors
    progress.stopped = stopping.should_stop()


def _stopping(recipe: Recipe, validation: EncodedInteractions | None) -> EarlyStopping | None:
    if recipe.patience is None or validation is None:
        return None
    return EarlyStopping(recipe.patience, recipe.min_epochs)


def _end_callbacks(
    model: keras.Model, runner: Runner, progress: _Progress, validation: EncodedInteractions | None,
    hooks: EpochCallbacks,
) -> None:  # fmt: skip
    """Call ``on_train_end``, and keep the weights that a callback restores, as ``EarlyStopping`` does."""
    runner.objective.write(model, progress.best)
    hooks.end_training(progress.logs())
    restored = runner.objective.read(model)
    if (digest := _digest(restored)) == _digest(progress.best):
        return
    progress.best = restored
    progress.best_epoch = progress.digests.get(digest, len(progress.loss))
    if validation is not None:
        progress.best_errors = squared_errors(runner.objective, restored, validation)


def _digest(tables: Tables) -> str:
    digest = hashlib.sha256()
    for table in tables:
        digest.update(table.numpy().tobytes())
    return digest.hexdigest()


def _refit(runner: Runner, progress: _Progress, start: Tables, epoch_data: EpochData) -> None:
    """Train from the start on all ratings, for ``best_epoch`` epochs."""
    tables, slots = start, runner.update.slots(start)
    for number in range(progress.best_epoch):
        tables, slots, _ = runner.epoch(number, progress.rates[number], tables, slots, epoch_data)
    progress.best, progress.refitted = tables, True


def _batch_size(recipe: Recipe, data: EncodedInteractions, held: np.ndarray | None) -> int:
    """The recipe's size, halved until no row is expected more than ``_MOST_REPEATS`` times in a mini-batch."""
    size = recipe.batch_size
    if recipe.optimizer == "adam":
        return size
    users, items = data.user_counts(), data.item_counts()
    if held is not None:
        out = data.take(held)
        users, items = users - out.user_counts(), items - out.item_counts()
    most, n_rows = max(users.max(), items.max()), users.sum()
    while size > 1 and size * most > _MOST_REPEATS * n_rows:
        size //= 2
    return size


def _check(model: keras.Model, n_rows: int, validation: EncodedInteractions | None, recipe: Recipe) -> None:
    if n_rows == 0 or (validation is not None and len(validation) == 0):
        raise BadSettings(
            f"training {model.name}: found {n_rows:,} training and "
            f"{0 if validation is None else len(validation):,} validation ratings, expected at least one of each; "
            f"give more ratings or a smaller validation_fraction"
        )
    if recipe.patience is not None and validation is None:
        raise BadSettings(
            f"recipe: found patience={recipe.patience} without validation ratings, expected some to choose the best "
            f"epoch by; set validation_fraction or remove patience"
        )
