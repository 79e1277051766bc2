"""The fit of the Keras models: built by name, trained with compiled epochs, kept as ``model.keras``."""

import numpy as np

from recobatch.model_folder import DESCRIPTIONS, ModelFolder
from recobatch.models import build_model, diagram_svg, rescaled, save_model, summary_text, to_factors
from recobatch.training import train
from recobatch.training.fit import Fitted, OnEpoch, TrainingInputs
from recobatch.training.rating_scale import RatingScale


def fit(name: str, inputs: TrainingInputs, folder: ModelFolder | None, on_epoch: OnEpoch | None) -> Fitted:
    """See ``recobatch.training.fit.Fit``.

    The model is trained on ratings from 1 to 5, whatever their scale, and predicts ratings on theirs.

    The validation ratings are the split's own; else a slice of train where the recipe cuts one; else, as in the
    notebook, the test ratings, which then choose nothing but are only looked at; none if there are no test ratings.
    """
    split, recipe, scale = inputs.split, inputs.recipe, RatingScale(*inputs.rating_range)
    low, high = scale.ends
    # Rounded, so that trainings on parts of the same ratings share compiled code.
    mean = round(scale.to_unit(float(np.mean(split.train.rating, dtype=np.float64))), 2)
    model = build_model(
        name, n_users=inputs.encoded.n_users, n_items=inputs.encoded.n_items, min_rating=low, max_rating=high,
        options=inputs.options, seed=inputs.seed, mean_rating=mean,
    )  # fmt: skip
    holds_out = recipe.validation_fraction > 0
    validation = split.validation or (None if holds_out else split.test) or None
    squared = scale.unit**2

    def in_rating_units(epoch: int, loss: float, val_loss: float) -> None:
        if on_epoch is not None:
            on_epoch(epoch, squared * loss, squared * val_loss)

    history = train(
        model, scale.rows_to_unit(split.train), validation=validation and scale.rows_to_unit(validation), recipe=recipe,
        seed=inputs.seed, on_epoch=in_rating_units, room=inputs.room,
    )  # fmt: skip
    if not scale.is_identity:
        model = rescaled(model, scale.unit, scale.offset)
    if folder is not None:
        save_model(model, folder.keras)
        for file, text in zip(DESCRIPTIONS, (summary_text(model), diagram_svg(model)), strict=True):
            (folder.path / file).write_text(text, encoding="utf-8")
    history = history.scaled(squared)
    held_out = history.val_mse if holds_out else None
    return Fitted(to_factors(model, rating_range=inputs.rating_range), history, held_out)
