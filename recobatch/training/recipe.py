"""Hyperparameters of training, and the presets. Imports no TensorFlow."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from recobatch.models.options import ModelOptions


class Recipe(BaseModel):
    """Hyperparameters of training; the defaults are the notebook's."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    epochs: int = Field(5, ge=1, le=10_000)
    """Largest number of passes over the training ratings."""
    batch_size: int = Field(32, ge=1, le=1 << 20)
    """Ratings in a mini-batch; the last one of an epoch may be shorter. With ``sgd``, whose updates within a mini-batch
    are summed, it is halved until no user or item is expected more than four times in one."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """``adam`` updates every parameter at every mini-batch, as Keras does. ``sgd`` updates only the rated rows, so that
    its cost does not grow with the tables; it ignores the model's own penalty, which applies to every row."""
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False)
    """Step size in the first epoch. With ``sgd`` it multiplies the gradient of each rating; it and ``l2_per_rating``
    refer to ratings from 1 to 5, and other ranges are converted."""
    decay: float = Field(1.0, gt=0, le=1)
    """Factor of the learning rate after every epoch; 1 keeps it."""
    l2_per_rating: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Penalty on the squared parameters of a rating's user and item, once per rating (``sgd`` only)."""
    shuffle: bool = True
    """Whether to shuffle the ratings before every epoch."""
    validation_fraction: float = Field(0.0, ge=0, lt=1)
    """Share of the training ratings to hold out for ``val_loss`` when no validation ratings are given, at most 100,000
    ratings."""
    patience: int | None = Field(None, ge=1)
    """Epochs with a worse ``val_loss`` than the best one before training stops; the best weights are kept. An epoch is
    worse if its error is higher by more than twice the standard error of the difference over the same ratings; epochs
    within that noise count a third. None trains all epochs and keeps the last weights."""
    min_epochs: int = Field(1, ge=1)
    """First epoch that ``patience`` considers; those before are never kept, nor counted as worse, unless training ends
    with them. While the learning rate is high, the validation error is mostly noise."""
    refit: bool = False
    """Whether to train again from the start on all training ratings, including those held out, for the best number of
    epochs. Skipped if less than 1 % of the ratings was held out."""


@dataclass(frozen=True)
class Preset:
    """A recipe, and the model options that it was tuned with."""

    options: ModelOptions
    recipe: Recipe


PRESETS = {
    "best": Preset(ModelOptions(), Recipe()),
    "notebook": Preset(ModelOptions(), Recipe()),
    "tuned": Preset(
        ModelOptions(n_factors=80, initial_scale=0.01, l2=0.0),
        Recipe(
            epochs=26, batch_size=256, optimizer="sgd", learning_rate=0.05, decay=0.9, l2_per_rating=0.055,
            validation_fraction=0.1, patience=5, min_epochs=10, refit=True,
        ),
    ),
}  # fmt: skip
"""``best`` is the default, with the recipe of ``notebook``: batch 32, 5 epochs, dense Adam 1e-3, L2 1e-6 on every
embedding, validated on test."""
