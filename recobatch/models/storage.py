"""Keras models as ``.keras`` files that load in safe mode: nothing pickled, no Lambda layers."""

from pathlib import Path

import keras

import recobatch.models.backend  # noqa: F401 - settles the threads
from recobatch.errors import BadTable


def save_model(model: keras.Model, path: Path) -> None:
    """Write a ``.keras`` archive: layers as JSON, weights as HDF5.

    The optimizer is not saved: compiled epochs do not use it, and Keras warns when it loads an empty one. Compile a
    loaded model before ``fit``.
    """
    keras.Model(model.inputs, model.outputs, name=model.name).save(path)


def load_model(path: Path) -> keras.Model:
    """Read a ``.keras`` archive in safe mode, which runs no code from the file.

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
