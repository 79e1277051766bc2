"""Models by name, or by the import path of their builder. Imports Keras only to build one."""

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recobatch.errors import BadSettings
from recobatch.models.native_log import import_tensorflow
from recobatch.models.search_space import BAYESIAN_SPACE, KERAS_SPACE, SearchSpace

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
    function: str = "build"
    """Name of the function."""
    fit: str = "recobatch.training.keras_fit"
    """Module with a ``fit`` function as in ``keras_fit``, imported when the model is trained."""
    step: str = "epoch"
    """What a pass over the ratings is called."""
    uses_features: bool = False
    """Whether it is given the side tables of users and items."""
    space: SearchSpace = KERAS_SPACE
    """What ``recobatch tune`` may try."""

    @property
    def is_keras(self) -> bool:
        """Whether it is a Keras model, trained by a recipe."""
        return bool(self.module)

    @property
    def build(self) -> "Callable[..., keras.Model]":
        """The builder: ``build(n_users=, n_items=, min_rating=, max_rating=, options=, seed=)``.

        Raises:
            BadSettings: If the module or the function does not exist, or it is not a Keras model.
        """
        if not self.is_keras:
            raise BadSettings(
                f"models: found {self.name}, expected a Keras model to build ({', '.join(KERAS_MODELS)}); train it "
                f"with recobatch.training.fit"
            )
        import_tensorflow()
        try:
            with _project_importable():
                found = getattr(importlib.import_module(self.module), self.function, None)
        except ModuleNotFoundError as error:
            raise BadSettings(
                f"models: found {self.title!r} and no module {error.name}, expected one in the project folder or "
                f"installed; correct the path or install the package"
            ) from error
        if not callable(found):
            raise BadSettings(
                f"models: found {self.title!r} and no function {self.function} in {self.module}, expected one that "
                f"builds a Keras model; correct the name after the colon"
            )
        return found


REGISTRY = {
    spec.name: spec
    for spec in (
        ModelSpec("explicit_mf", "ExplicitMF", "recobatch.models.explicit_mf"),
        ModelSpec("explicit_mf_bias", "ExplicitMatrixFactorisationBias", "recobatch.models.explicit_mf_bias"),
        ModelSpec(
            "bayesian_mf",
            "BayesianMF",
            "",
            fit="recobatch.training.bayesian_fit",
            step="sweep",
            uses_features=True,
            space=BAYESIAN_SPACE,
        ),
    )
}
"""Every model, in the order of training. A new one needs a module and an entry here."""

MODEL_NAMES = tuple(REGISTRY)
KERAS_MODELS = tuple(name for name, spec in REGISTRY.items() if spec.is_keras)
"""The notebook's two."""

_IMPORT_PATH = re.compile(r"(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<function>[A-Za-z_]\w*)")
_imported: dict[str, ModelSpec] = {}
"""Models of import paths that this process has looked up, by name."""


def is_import_path(name: str) -> bool:
    """Whether a model is given by the path of its builder, as in ``mypkg.models:build``."""
    return _IMPORT_PATH.fullmatch(name) is not None


def source_digest(name: str) -> str | None:
    """Sha256 of the module behind an import path, so that a model is trained again when its code changes.

    Returns:
        64 hex digits; None for the package's own models, whose code counts anyway, and for a module without a file.
    """
    spec = find_model(name)
    if spec.name in REGISTRY:
        return None
    try:
        with _project_importable():
            module = importlib.util.find_spec(spec.module)
    except ModuleNotFoundError:  # building the model reports it
        return None
    if module is None or module.origin is None or not Path(module.origin).is_file():
        return None
    return hashlib.sha256(Path(module.origin).read_bytes()).hexdigest()


@contextmanager
def _project_importable() -> Iterator[None]:
    """The current folder at the end of the search path, where the command line does not have it."""
    here = str(Path.cwd())
    is_added = here not in sys.path
    if is_added:
        sys.path.append(here)
    try:
        yield
    finally:
        if is_added:
            sys.path.remove(here)


def find_model(name: str) -> ModelSpec:
    """Look a model up.

    Args:
        name: One of ``MODEL_NAMES``; or the import path of a builder, ``mypkg.models:build``, which is then known in
            this process by the name of the result as well: ``mypkg_models``, or ``mypkg_models_other`` for
            ``mypkg.models:other``.

    Raises:
        BadSettings: If it is neither, or a path whose name another model has.
    """
    known = REGISTRY | _imported
    if name in known:
        return known[name]
    path = _IMPORT_PATH.fullmatch(name)
    if path is None:
        raise BadSettings(
            f"model: found {name!r}, expected one of {', '.join(MODEL_NAMES)}, or the import path of a builder; "
            f"correct the name, or pass a path such as mypkg.models:build"
        )
    module, function = path["module"], path["function"]
    spec = ModelSpec(
        "_".join([*module.split("."), *([function] if function != "build" else [])]), name, module, function
    )
    if known.setdefault(spec.name, spec) != spec:
        raise BadSettings(
            f"models: found {name!r} and {known[spec.name].title!r}, expected models whose names differ (both would be "
            f"{spec.name}); rename one of the modules"
        )
    return _imported.setdefault(spec.name, spec)
