"""The models: one Keras model per file, a registry by name, and the conversion to ``FactorModel``.

Importing this package does not import Keras, so that the command line can read names and options quickly; its functions
do.
"""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

# TensorFlow reads these when it is imported, which only modules below this package do; what the caller has set stands.
# Without them it reports at every start that it found no GPU ("failed call to cuInit").
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from recobatch.errors import BadSettings
from recobatch.factors import FactorModel
from recobatch.models.native_log import import_tensorflow
from recobatch.models.options import ModelOptions
from recobatch.models.registry import (
    KERAS_MODELS,
    MODEL_NAMES,
    REGISTRY,
    ModelSpec,
    find_model,
    is_import_path,
    source_digest,
)

if TYPE_CHECKING:
    import keras

__all__ = [
    "KERAS_MODELS",
    "MODEL_NAMES",
    "REGISTRY",
    "ModelOptions",
    "ModelSpec",
    "build_model",
    "check_model",
    "diagram_svg",
    "find_model",
    "is_import_path",
    "load_model",
    "rescaled",
    "save_model",
    "source_digest",
    "summary_text",
    "to_factors",
]


def build_model(
    name: str, *, n_users: int, n_items: int, min_rating: float, max_rating: float, options: ModelOptions, seed: int,
    mean_rating: float | None = None,
) -> "keras.Model":  # fmt: skip
    """Build a registered model, compiled with MSE and Adam(1e-3) so that ``model.fit`` works too.

    Args:
        name: One of ``MODEL_NAMES``, or the import path of a builder such as ``mypkg.models:build``.
        n_users: Users in the vocabulary.
        n_items: Items in the vocabulary.
        min_rating: Lowest possible rating.
        max_rating: Highest possible rating.
        options: Size, initial values and penalty.
        seed: Seed of the initial parameters.
        mean_rating: Where predictions of the package's own models begin if the options give an initial scale; None
            for the middle of the range.

    Raises:
        BadSettings: If there is no model of that name, or what a builder of an import path returns is no Keras model
            in the factor form.
    """
    spec = find_model(name)
    build, is_own = spec.build, spec.name not in REGISTRY
    if not is_own and options.initial_scale is not None:
        build = partial(build, mean_rating=mean_rating)
    try:
        model = build(
            n_users=int(n_users), n_items=int(n_items), min_rating=float(min_rating), max_rating=float(max_rating),
            options=options.for_keras(), seed=seed,
        )  # fmt: skip
    except TypeError as error:
        if not is_own:
            raise
        said = " ".join(str(error).split())
        raise BadSettings(
            f"models: found {spec.title!r}, which raised TypeError ({said}), expected a function "
            f"build(*, n_users, n_items, min_rating, max_rating, options, seed) that returns a Keras model; correct it"
        ) from error
    if is_own:
        from recobatch.models import factor_form  # lazy: imports Keras

        factor_form.check_factor_form(model, spec.title)
    return model


def check_model(name: str) -> None:
    """Build a tiny model of an import path, so that one that cannot be used is refused before any work.

    Raises:
        BadSettings: As ``build_model``; nothing is checked of the package's own models.
    """
    if is_import_path(name):
        build_model(
            name, n_users=3, n_items=2, min_rating=1.0, max_rating=5.0, options=ModelOptions(n_factors=2), seed=0
        )


def to_factors(model: "keras.Model", *, rating_range: tuple[float, float] | None = None) -> FactorModel:
    """Convert a trained model to factors; see ``factor_form``.

    Args:
        model: A model in the factor form.
        rating_range: Lowest and highest possible rating, to which a model without a sigmoid is clipped; None clips
            nothing.

    Raises:
        BadSettings: If the model does not end in the factor form.
    """
    from recobatch.models import factor_form  # lazy: imports Keras

    return factor_form.to_factors(model, rating_range=rating_range)


def rescaled(model: "keras.Model", scale: float, offset: float) -> "keras.Model":
    """A model of the same weights whose predictions are ``scale`` times its own plus ``offset``."""
    from recobatch.models import factor_form  # lazy: imports Keras

    return factor_form.rescaled(model, scale, offset)


def summary_text(model: "keras.Model") -> str:
    """What ``model.summary()`` prints, as plain text of at most 120 columns."""
    from recobatch.models import diagram  # lazy: imports Keras

    return diagram.summary_text(model)


def diagram_svg(model: "keras.Model") -> str:
    """Draw the layers with their names and shapes as an SVG document; needs no system package."""
    from recobatch.models import diagram  # lazy: imports Keras

    return diagram.diagram_svg(model)


def save_model(model: "keras.Model", path: Path) -> None:
    """Write a ``.keras`` archive: layers as JSON, weights as HDF5, nothing pickled."""
    from recobatch.models import storage  # lazy: imports Keras

    storage.save_model(model, path)


def load_model(path: Path) -> "keras.Model":
    """Read a ``.keras`` archive in safe mode.

    Raises:
        BadTable: If there is no model at ``path`` or it needs code to load.
    """
    import_tensorflow()
    from recobatch.models import storage  # lazy: imports Keras

    return storage.load_model(path)
