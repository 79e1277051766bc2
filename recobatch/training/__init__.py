"""Training with compiled epochs, for any model; the only package besides ``models`` that imports TensorFlow.

Importing the package does not import TensorFlow, so that the command line can read recipes quickly; ``train`` does.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from recobatch.interactions import EncodedInteractions
from recobatch.models.native_log import import_tensorflow
from recobatch.training.history import History
from recobatch.training.recipe import PRESETS, Preset, Recipe

if TYPE_CHECKING:
    import keras

__all__ = ["PRESETS", "History", "Preset", "Recipe", "train"]


def train(
    model: "keras.Model", data: EncodedInteractions, *, validation: EncodedInteractions | None, recipe: Recipe,
    seed: int, on_epoch: Callable[[int, float, float], None] | None = None,
    on_validation: Callable[[np.ndarray], None] | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (), room: int = 0,
) -> History:  # fmt: skip
    """Train a model in place. It then holds the weights to keep, and remains an ordinary Keras model.

    Args:
        model: Maps ``[user, item]`` to a rating. In the factor form its gradients are written by hand, otherwise
            recorded on a tape.
        data: Ratings to train on; not changed.
        validation: Ratings for ``val_loss``, and for early stopping if the recipe has a patience: never pass test
            ratings then. None holds out ``recipe.validation_fraction`` of ``data``.
        recipe: Hyperparameters of training.
        seed: Seed of the order of ratings and of the held-out ratings.
        on_epoch: Called after each epoch with its number from 1, ``loss`` and ``val_loss`` (NaN without validation).
        on_validation: Called once, before a refit, with the squared error of every validation rating by the kept
            weights, float64, shape ``(n,)``. Models that hold out ratings of the same data with the same seed and
            ``recipe.validation_fraction`` are given the same ratings in the same order; see
            ``recobatch.evaluation.standing.compare_candidates``.
        callbacks: Keras callbacks with hooks of training and of epochs. The model holds the epoch's weights before
            ``on_epoch_end``; ``model.stop_training`` and changes of the optimizer's learning rate are honoured.
        room: Ratings of another training of an equal model, with which this one is to share its compiled code: the
            arrays of ratings are at least as long as that one's.

    Returns:
        Losses by epoch, the epoch that was kept, and durations.

    Raises:
        BadSettings: If there are no ratings to train or to validate on, or if a callback is not supported: one with
            hooks of mini-batches, or one that needs the state of Keras' optimizer.
        KeyboardInterrupt: Ctrl-C takes effect between epochs; the model then holds the best weights so far.
    """
    import_tensorflow()
    from recobatch.training import engine  # lazy: imports TensorFlow

    return engine.train(
        model, data, validation=validation, recipe=recipe, seed=seed, on_epoch=on_epoch, on_validation=on_validation,
        callbacks=callbacks, room=room,
    )  # fmt: skip
