"""ExplicitMF: a rating is the dot product of a user's and an item's factors (the notebook's cell 15)."""

import keras

from recobatch.models.embedding import embed
from recobatch.models.options import ModelOptions


def build(
    *, n_users: int, n_items: int, min_rating: float, max_rating: float, options: ModelOptions, seed: int,
    mean_rating: float | None = None,
) -> keras.Model:  # fmt: skip
    """Build the compiled model.

    Args:
        n_users: Users in the vocabulary.
        n_items: Items in the vocabulary.
        min_rating: Lowest possible rating.
        max_rating: Highest possible rating.
        options: Size, initial values and penalty.
        seed: Seed of the initial factors.
        mean_rating: Initial prediction of every pair if ``initial_scale`` is given; None for the middle of the range.

    Returns:
        Maps ``[User, Item]``, integers of shape ``(n, 1)`` each, to ratings of shape ``(n, 1)``.
    """
    first = (min_rating + max_rating) / 2 if mean_rating is None else mean_rating
    start = (abs(first) / options.keras_factors) ** 0.5
    item = keras.Input(shape=(1,), name="Item", dtype="int32")
    item_vector = embed(
        item,
        n_items,
        options.keras_factors,
        names=("ItemEmbedding", "FlattenItemE"),
        options=options,
        seed=seed,
        mean=start,
    )
    user = keras.Input(shape=(1,), name="User", dtype="int32")
    user_vector = embed(
        user,
        n_users,
        options.keras_factors,
        names=("UserEmbedding", "FlattenUserE"),
        options=options,
        seed=seed,
        mean=start,
    )
    rating = keras.layers.Dot(axes=1, name="DotProduct")([item_vector, user_vector])
    model = keras.Model([user, item], rating, name="ExplicitMF")
    model.compile(loss="mean_squared_error", optimizer=keras.optimizers.Adam(1e-3))
    return model
