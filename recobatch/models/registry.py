"""Models by name. Imports Keras only to build one."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recobatch.errors import BadSettings

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class ModelSpec:
    """A registered model."""

    name: str
    """Name in settings and tables."""
    title: str
    """Name of the Keras model, and in reports."""
    module: str
    """Module with a ``build`` function as in ``explicit_mf``, imported when a model is built; empty if the model is
    not a Keras model."""
    fit: str = "recobatch.training.keras_fit"
    """Module with a ``fit`` function as in ``keras_fit``, imported when the model is trained."""

    @property
    def build(self) -> "Callable[..., keras.Model]":
        """The builder: ``build(n_users=, n_items=, min_rating=, max_rating=, options=, seed=)``."""
        return importlib.import_module(self.module).build


REGISTRY = {
    spec.name: spec
    for spec in (
        ModelSpec("explicit_mf", "ExplicitMF", "recobatch.models.explicit_mf"),
        ModelSpec("explicit_mf_bias", "ExplicitMatrixFactorisationBias", "recobatch.models.explicit_mf_bias"),
    )
}
"""Every model, in the order of training. A new one needs a module and an entry here."""

MODEL_NAMES = tuple(REGISTRY)


def find_model(name: str) -> ModelSpec:
    """Look a model up.

    Raises:
        BadSettings: If there is no model of that name.
    """
    if name not in REGISTRY:
        raise BadSettings(
            f"model: found {name!r}, expected one of {', '.join(MODEL_NAMES)}; "
            f"correct the name or add the model to recobatch/models/registry.py"
        )
    return REGISTRY[name]
