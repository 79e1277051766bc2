"""Training: compiled epochs over any model; the door to TensorFlow.

Importing this package imports no TensorFlow: recipes are for the command line too. ``train`` imports it when called.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from recobatch.interactions import EncodedInteractions
from recobatch.training.history import History
from recobatch.training.recipe import PRESETS, Preset, Recipe

if TYPE_CHECKING:
    import keras

__all__ = ["PRESETS", "History", "Preset", "Recipe", "train"]


def train(
    model: "keras.Model", data: EncodedInteractions, *, validation: EncodedInteractions | None, recipe: Recipe,
    seed: int, on_epoch: Callable[[int, float, float], None] | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
) -> History:  # fmt: skip
    """Train a model in place: afterwards it holds the weights to keep, and saves, loads and predicts as ever.

    Args:
        model: Maps ``[user, item]`` to a rating. In the factor form its gradients are written by hand, else taped.
        data: Ratings to train on; not changed.
        validation: Ratings for ``val_loss``, and for early stopping when the recipe has a patience: never hand in test
            ratings then. None holds out ``recipe.validation_fraction`` of ``data``.
        recipe: Everything that shapes training.
        seed: Of the order of ratings and of what is held out.
        on_epoch: Called after each epoch with its number from 1, ``loss`` and ``val_loss`` (NaN without validation).
        callbacks: Keras callbacks of training and of epochs. Before ``on_epoch_end`` the model holds the epoch's
            weights; ``model.stop_training`` and the learning rate that they give the model's optimizer are honoured.

    Returns:
        The losses, which epoch was kept, and where the time went.

    Raises:
        BadSettings: If there is nothing to train or to validate on, or if a callback could never do its work: one of
            single mini-batches, or one that needs the state of Keras' optimizer.
        KeyboardInterrupt: Ctrl-C takes effect between epochs; the model then holds the best weights so far.
    """
    from recobatch.training import engine  # lazy: imports TensorFlow

    return engine.train(
        model, data, validation=validation, recipe=recipe, seed=seed, on_epoch=on_epoch, callbacks=callbacks
    )
