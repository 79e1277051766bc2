"""Everything that shapes training, and the presets. Imports no TensorFlow."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from recobatch.models.options import ModelOptions


class Recipe(BaseModel):
    """How a model is trained; the defaults are the notebook's."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    epochs: int = Field(5, ge=1, le=10_000)
    """Passes over the training ratings, at most."""
    batch_size: int = Field(32, ge=1, le=1 << 20)
    """Ratings in a mini-batch; the last one of an epoch may be shorter. With ``sgd`` it is halved until no user or item
    is expected more than four times in one, for their moves are summed."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """``adam`` moves every parameter at every mini-batch, as Keras does; ``sgd`` moves the rows that were rated, so
    that its cost does not grow with the tables; a model's own penalty, which touches every row, is then left out."""
    learning_rate: float = Field(1e-3, gt=0, allow_inf_nan=False)
    """Step size in the first epoch. With ``sgd`` it multiplies each rating's own gradient, and it and
    ``l2_per_rating`` are meant for ratings from 1 to 5: other ranges are converted."""
    decay: float = Field(1.0, gt=0, le=1)
    """The learning rate is multiplied by this after every epoch; 1 keeps it."""
    l2_per_rating: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Penalty on the squared parameters that a rating touches, once per rating (``sgd`` only)."""
    shuffle: bool = True
    """Whether every epoch draws a new order of the ratings."""
    validation_fraction: float = Field(0.0, ge=0, lt=1)
    """Share of the training ratings to hold out for ``val_loss`` when no validation ratings are given; at most 100,000
    ratings, which tell the best epoch well enough."""
    patience: int | None = Field(None, ge=1)
    """Stop after that many epochs without a better ``val_loss`` and keep the best weights; None trains to the end and
    keeps the last."""
    refit: bool = False
    """Whether to start again on all training ratings, those held out too, for as many epochs as were best. Skipped
    where less than one rating in a hundred was held out."""


@dataclass(frozen=True)
class Preset:
    """A recipe together with the models' options that it was tuned for."""

    options: ModelOptions
    recipe: Recipe


PRESETS = {
    "notebook": Preset(ModelOptions(), Recipe()),
    "tuned": Preset(
        ModelOptions(n_factors=40, initial_scale=0.01, l2=0.0),
        Recipe(
            epochs=26, batch_size=256, optimizer="sgd", learning_rate=0.05, decay=0.9, l2_per_rating=0.055,
            validation_fraction=0.05, patience=5, refit=True,
        ),
    ),
}  # fmt: skip
"""``notebook`` is the default: batch 32, 5 epochs, dense Adam 1e-3, L2 1e-6 on every embedding, validated on test."""
