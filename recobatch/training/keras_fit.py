"""The fit of the Keras models: built by name, trained with compiled epochs, kept as ``model.keras``."""

from recobatch.model_folder import DESCRIPTIONS, ModelFolder
from recobatch.models import build_model, diagram_svg, save_model, summary_text, to_factors
from recobatch.training import train
from recobatch.training.fit import Fitted, OnEpoch, TrainingInputs


def fit(name: str, inputs: TrainingInputs, folder: ModelFolder | None, on_epoch: OnEpoch | None) -> Fitted:
    """See ``recobatch.training.fit.Fit``.

    The validation ratings are the split's own; else a slice of train where the recipe cuts one; else, as in the
    notebook, the test ratings, which then choose nothing but are only looked at; none if there are no test ratings.
    """
    split, recipe = inputs.split, inputs.recipe
    low, high = inputs.rating_range
    model = build_model(
        name, n_users=inputs.encoded.n_users, n_items=inputs.encoded.n_items, min_rating=low, max_rating=high,
        options=inputs.options, seed=inputs.seed,
    )  # fmt: skip
    holds_out = recipe.validation_fraction > 0
    validation = split.validation or (None if holds_out else split.test) or None
    history = train(
        model, split.train, validation=validation, recipe=recipe, seed=inputs.seed, on_epoch=on_epoch, room=inputs.room
    )
    if folder is not None:
        save_model(model, folder.keras)
        for file, text in zip(DESCRIPTIONS, (summary_text(model), diagram_svg(model)), strict=True):
            (folder.path / file).write_text(text, encoding="utf-8")
    held_out = history.val_loss[history.best_epoch - 1] if holds_out and history.val_loss else None
    return Fitted(to_factors(model, rating_range=(low, high)), history, held_out)
