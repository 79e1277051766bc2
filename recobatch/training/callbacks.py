"""Keras callbacks around compiled epochs: which of them can be served, and the learning rate that they may change."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from recobatch.errors import BadSettings

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
_STATEFUL = {
    "BackupAndRestore": "a finished training is reused by itself",
    "SwapEMAWeights": "Recipe(patience=…) keeps the best weights",
}
"""Callbacks that need the state of Keras' own optimizer, and what does their work here."""


class Listeners:
    """The callbacks of one training.

    Args:
        callbacks: Of training and of epochs.
        model: Which they are told of.
        epochs: How many there are at most.
        steps: Mini-batches in an epoch.

    Raises:
        BadSettings: If one of them could never do its work.
    """

    def __init__(
        self, callbacks: Sequence[keras.callbacks.Callback], model: keras.Model, *, epochs: int, steps: int
    ) -> None:
        for callback in callbacks:
            _check(callback)
        self._model = model
        self._optimizer = _with_settable_rate(model) if callbacks else None
        self._all = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs, steps=steps, verbose=1)
        self._factor = 1.0

    def __bool__(self) -> bool:
        return bool(self._all.callbacks)

    def begin_training(self) -> None:
        self._model.stop_training = False
        self._all.on_train_begin()

    def begin_epoch(self, number: int, rate: float) -> float:
        """Announce epoch ``number``, from 0, to be run at the recipe's learning rate.

        Returns:
            The rate to run it at: the recipe's, times what callbacks have made of it so far. Theirs is the rate of the
            model's optimizer, as in ``model.fit``.
        """
        if self._optimizer is not None:
            self._optimizer.learning_rate = rate * self._factor
        self._all.on_epoch_begin(number)
        self._note_rate(rate)
        return rate * self._factor

    def end_epoch(self, number: int, rate: float, logs: dict[str, float]) -> None:
        """Tell the losses of an epoch, whose weights the model holds; it may set ``model.stop_training``."""
        self._all.on_epoch_end(number, logs)
        self._note_rate(rate)

    def end_training(self, logs: dict[str, float]) -> None:
        self._all.on_train_end(logs)

    def _note_rate(self, rate: float) -> None:
        if self._optimizer is not None:
            found = float(keras.ops.convert_to_numpy(self._optimizer.learning_rate))
            if found != np.float32(rate * self._factor):  # else a float32 would replace the recipe's own figure
                self._factor = found / rate


def _with_settable_rate(model: keras.Model) -> Any:  # noqa: ANN401 - a Keras optimizer, or None
    """The optimizer that callbacks set the learning rate of; a schedule of its own is for ``model.fit`` alone."""
    optimizer = getattr(model, "optimizer", None)
    try:
        if optimizer is not None:
            optimizer.learning_rate = keras.ops.convert_to_numpy(optimizer.learning_rate)
    except TypeError:
        return None
    return optimizer


def _check(callback: keras.callbacks.Callback) -> None:
    name = type(callback).__name__
    for known, instead in _STATEFUL.items():
        if isinstance(callback, getattr(keras.callbacks, known)):
            raise BadSettings(
                f"callbacks: found {name}, expected none that needs the state of Keras' optimizer, which compiled "
                f"epochs do not have; leave it out ({instead}), or train with model.fit"
            )
    for hook in _hooks_in_vain(callback):
        raise BadSettings(
            f"callbacks: found {name} with {hook}, expected callbacks of epochs, for nothing is called between the "
            f"mini-batches of a compiled epoch; use on_epoch_end or save_freq='epoch', or train with model.fit"
        )


def _hooks_in_vain(callback: keras.callbacks.Callback) -> Iterator[str]:
    """Hooks of mini-batches that were written to be called; Keras' own mostly look on until the epoch ends."""
    waits = all(getattr(callback, name, "epoch") == "epoch" for name in ("save_freq", "update_freq"))
    for hook in _BATCH_HOOKS:
        function = getattr(getattr(callback, hook), "__func__", None)
        is_inherited = function is getattr(keras.callbacks.Callback, hook)
        is_keras_own = function is not None and function.__module__.startswith("keras.src.callbacks.")
        if not is_inherited and not (is_keras_own and waits):
            yield hook
