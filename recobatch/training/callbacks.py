"""Keras callbacks around compiled epochs: supported hooks, and changes of the learning rate."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from recobatch.errors import BadSettings

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
_STATEFUL = {
    "BackupAndRestore": "finished trainings are cached",
    "SwapEMAWeights": "Recipe(patience=…) keeps the best weights",
}
"""Unsupported callbacks, which need the state of Keras' own optimizer, and their substitutes."""


class EpochCallbacks:
    """The Keras callbacks of one training.

    Args:
        callbacks: Callbacks with hooks of training and of epochs.
        model: The model in training.
        epochs: Largest number of epochs.
        steps: Mini-batches in an epoch.

    Raises:
        BadSettings: If a callback is not supported.
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
        """Call ``on_epoch_begin``.

        Args:
            number: Epoch, from 0.
            rate: Learning rate of the recipe.

        Returns:
            The rate to use: the recipe's times the factor that callbacks have applied so far. They change it through
            the model's optimizer, as in ``model.fit``.
        """
        if self._optimizer is not None:
            self._optimizer.learning_rate = rate * self._factor
        self._all.on_epoch_begin(number)
        self._update_factor(rate)
        return rate * self._factor

    def end_epoch(self, number: int, rate: float, logs: dict[str, float]) -> None:
        """Call ``on_epoch_end`` with the epoch's losses, while the model holds its weights."""
        self._all.on_epoch_end(number, logs)
        self._update_factor(rate)

    def end_training(self, logs: dict[str, float]) -> None:
        self._all.on_train_end(logs)

    def _update_factor(self, rate: float) -> None:
        if self._optimizer is not None:
            found = float(keras.ops.convert_to_numpy(self._optimizer.learning_rate))
            if found != np.float32(rate * self._factor):  # otherwise rounding to float32 would change the recipe's rate
                self._factor = found / rate


def _with_settable_rate(model: keras.Model) -> Any:  # noqa: ANN401 - a Keras optimizer, or None
    """The model's optimizer with a constant learning rate; its own schedule applies to ``model.fit`` only."""
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
    for hook in _unsupported_hooks(callback):
        raise BadSettings(
            f"callbacks: found {name} with {hook}, expected callbacks of epochs, since a compiled epoch calls nothing "
            f"between mini-batches; use on_epoch_end or save_freq='epoch', or train with model.fit"
        )


def _unsupported_hooks(callback: keras.callbacks.Callback) -> Iterator[str]:
    """Overridden hooks of mini-batches, but for Keras' own that only act at the end of an epoch."""
    waits = all(getattr(callback, name, "epoch") == "epoch" for name in ("save_freq", "update_freq"))
    for hook in _BATCH_HOOKS:
        function = getattr(getattr(callback, hook), "__func__", None)
        is_inherited = function is getattr(keras.callbacks.Callback, hook)
        is_keras_own = function is not None and function.__module__.startswith("keras.src.callbacks.")
        if not is_inherited and not (is_keras_own and waits):
            yield hook
