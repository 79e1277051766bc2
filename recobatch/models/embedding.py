"""The layer that all models share: index → vector."""

import keras
import numpy as np

import recobatch.models.backend  # noqa: F401 - settles the threads
from recobatch.models.options import ModelOptions


def embed(
    index: keras.KerasTensor, n_rows: int, n_columns: int, *, names: tuple[str, str], options: ModelOptions, seed: int,
    mean: float = 0.0,
) -> keras.KerasTensor:  # fmt: skip
    """Add an Embedding with a Flatten layer.

    Args:
        index: Symbolic integers, shape ``(None, 1)``.
        n_rows: Users or items in the table.
        n_columns: Length of a row.
        names: Names of the Embedding and of the Flatten layer.
        options: Initial scale and penalty. Tables of one column are biases, which start at zero if a scale is given.
        seed: Seed of the model; each table derives its own stream from the seed and its name.
        mean: Mean of the initial factors if a scale is given.

    Returns:
        Symbolic rows, shape ``(None, n_columns)``.
    """
    layer = keras.layers.Embedding(
        int(n_rows), int(n_columns), name=names[0],
        embeddings_initializer=_initializer(n_columns, options, _stream(seed, names[0]), mean),
        embeddings_regularizer=keras.regularizers.L2(options.l2) if options.l2 else None,
    )  # fmt: skip
    return keras.layers.Flatten(name=names[1])(layer(index))


def _initializer(n_columns: int, options: ModelOptions, seed: int, mean: float) -> keras.initializers.Initializer:
    if options.initial_scale is None:
        return keras.initializers.RandomUniform(-0.05, 0.05, seed=seed)
    if n_columns == 1:
        return keras.initializers.Zeros()
    return keras.initializers.RandomNormal(mean, options.initial_scale, seed=seed)


def _stream(seed: int, name: str) -> int:
    # Keras draws the same numbers for the same seed: with one stream, the user and item tables would be equal.
    return int(np.random.SeedSequence([seed, *name.encode()]).generate_state(1)[0] >> 1)
