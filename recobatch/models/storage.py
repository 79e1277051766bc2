"""Keras models on disk: ``.keras`` files that load in safe mode. Nothing pickled, no Lambda."""

from pathlib import Path

import keras

import recobatch.models.backend  # noqa: F401 - settles the threads
from recobatch.errors import BadTable


def save_model(model: keras.Model, path: Path) -> None:
    """Write a ``.keras`` archive: layers as JSON, weights as HDF5.

    The optimizer stays behind: the compiled epochs never filled it, and Keras warns on loading one that is empty.
    Compile a loaded model before fitting it on.
    """
    keras.Model(model.inputs, model.outputs, name=model.name).save(path)


def load_model(path: Path) -> keras.Model:
    """Read a ``.keras`` archive in safe mode: no code that travels in the file is run.

    Raises:
        BadTable: If there is no model at ``path`` or it needs code to load.
    """
    try:
        return keras.saving.load_model(path, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BadTable(
            f"{path}: found no model that loads ({reason}), expected a .keras file saved by recobatch; train again"
        ) from error
