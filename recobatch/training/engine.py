"""The training loop: epochs, validation, early stopping, callbacks. One engine for every model."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from recobatch.errors import BadSettings
from recobatch.interactions import EncodedInteractions
from recobatch.training.epoch import compile_epoch, compile_predict, padded, padded_length, penalty
from recobatch.training.history import History
from recobatch.training.objective import Objective, Tables, objective_of
from recobatch.training.recipe import Recipe
from recobatch.training.updates import update_of

OnEpoch = Callable[[int, float, float], None]
_BLOCK = 1 << 16


@dataclass
class _Progress:
    """What the loop knows so far."""

    best: Tables
    best_epoch: int = 0
    best_loss: float = float("inf")
    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    stopped: bool = False


def train(
    model: keras.Model, data: EncodedInteractions, *, validation: EncodedInteractions | None, recipe: Recipe, seed: int,
    on_epoch: OnEpoch | None = None, callbacks: Sequence[keras.callbacks.Callback] = (),
) -> History:  # fmt: skip
    """Train ``model`` in place; see ``recobatch.training.train``."""
    rng = np.random.default_rng([seed, 1])
    if validation is None and recipe.validation_fraction:
        data, validation = _hold_out(data, recipe.validation_fraction, rng)
    _check(model, data, validation, recipe)
    objective = objective_of(model)
    tables = objective.read(model)
    update = update_of(recipe, objective.l2)
    slots = update.slots(tables)
    run = compile_epoch(objective, update, recipe.batch_size)
    length = padded_length(len(data), recipe.batch_size)
    compile_seconds = _timed(lambda: run(tables, slots, *_columns(data, None, length), *map(tf.constant, (0, 0, 0.0))))
    listeners = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=recipe.epochs)
    progress = _Progress(best=tables)
    steps = -(-len(data) // recipe.batch_size)
    model.stop_training = False
    started = time.perf_counter()
    try:
        listeners.on_train_begin()
        for epoch in range(recipe.epochs):
            listeners.on_epoch_begin(epoch)
            order = rng.permutation(len(data)) if recipe.shuffle else None
            rate = tf.constant(recipe.learning_rate * recipe.decay**epoch, tf.float32)
            tables, slots, total = run(
                tables, slots, *_columns(data, order, length), tf.constant(len(data)), tf.constant(epoch * steps), rate
            )
            _record(progress, objective, tables, float(total) / len(data), validation, recipe)
            if on_epoch is not None:
                on_epoch(epoch + 1, progress.loss[-1], progress.val_loss[-1] if progress.val_loss else float("nan"))
            if callbacks:
                objective.write(model, tables)
                listeners.on_epoch_end(epoch, _logs(progress))
            if progress.stopped or model.stop_training:
                progress.stopped = epoch + 1 < recipe.epochs
                break
    finally:
        objective.write(model, progress.best)
    listeners.on_train_end(_logs(progress))
    return History(
        progress.loss, progress.val_loss, progress.best_epoch, progress.stopped,
        time.perf_counter() - started, compile_seconds,
    )  # fmt: skip


def _record(
    progress: _Progress, objective: Objective, tables: Tables, loss: float,
    validation: EncodedInteractions | None, recipe: Recipe,
) -> None:  # fmt: skip
    """Note an epoch's losses, keep its weights if they are the ones to keep, and see whether patience ran out."""
    progress.loss.append(loss)
    if validation is not None:
        progress.val_loss.append(_validate(objective, tables, validation))
    epoch = len(progress.loss)
    if recipe.patience is None or validation is None:
        progress.best, progress.best_epoch = tables, epoch
    elif progress.val_loss[-1] < progress.best_loss:
        progress.best, progress.best_epoch, progress.best_loss = tables, epoch, progress.val_loss[-1]
    else:
        progress.stopped = epoch - progress.best_epoch >= recipe.patience


def _validate(objective: Objective, tables: Tables, data: EncodedInteractions) -> float:
    """Keras' evaluate: mean squared error plus penalties."""
    predict, total = compile_predict(objective), 0.0
    for start in range(0, len(data), _BLOCK):
        rows = slice(start, start + _BLOCK)
        prediction = predict(tables, tf.constant(data.user_index[rows]), tf.constant(data.item_index[rows])).numpy()
        error = prediction.astype(np.float64) - data.rating[rows]
        total += float(error @ error)
    return total / len(data) + float(penalty(tables, objective.l2))


def _columns(data: EncodedInteractions, order: np.ndarray | None, length: int) -> list[tf.Tensor]:
    return [padded(column, order, length) for column in (data.user_index, data.item_index, data.rating)]


def _hold_out(
    data: EncodedInteractions, fraction: float, rng: np.random.Generator
) -> tuple[EncodedInteractions, EncodedInteractions]:
    held = np.zeros(len(data), dtype=bool)
    held[rng.permutation(len(data))[: max(1, round(fraction * len(data)))]] = True
    return data.take(~held), data.take(held)


def _logs(progress: _Progress) -> dict[str, float]:
    logs = {"loss": progress.loss[-1]} if progress.loss else {}
    return logs | ({"val_loss": progress.val_loss[-1]} if progress.val_loss else {})


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _check(
    model: keras.Model, data: EncodedInteractions, validation: EncodedInteractions | None, recipe: Recipe
) -> None:
    if len(data) == 0 or (validation is not None and len(validation) == 0):
        raise BadSettings(
            f"training {model.name}: found {len(data):,} training and "
            f"{0 if validation is None else len(validation):,} validation ratings, required at least one of each; "
            f"give more ratings or a smaller validation_fraction"
        )
    if recipe.patience is not None and validation is None:
        raise BadSettings(
            f"recipe: found patience={recipe.patience} without validation ratings, required some to tell the best "
            f"epoch by; set validation_fraction or leave patience out"
        )
