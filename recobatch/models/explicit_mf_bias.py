"""ExplicitMatrixFactorisationBias: factors, biases, and a sigmoid over the rating range (the notebook's cell 53)."""

import math

import keras

from recobatch.models.embedding import embed
from recobatch.models.options import ModelOptions

_SMALLEST_SHARE = 1e-3
"""Of the range, between a mean rating and its ends, where the slope of the sigmoid vanishes."""


def build(
    *, n_users: int, n_items: int, min_rating: float, max_rating: float, options: ModelOptions, seed: int,
    mean_rating: float | None = None,
) -> keras.Model:  # fmt: skip
    """Build the compiled model.

    Args:
        n_users: Users in the vocabulary.
        n_items: Items in the vocabulary.
        min_rating: Lower end of the predictions.
        max_rating: Upper end of the predictions.
        options: Size, initial values and penalty.
        seed: Seed of the initial factors and biases.
        mean_rating: Where the sigmoid is centred: the prediction of vectors and biases that are zero; None for the
            middle of the range.

    Returns:
        Maps ``[User, Item]``, integers of shape ``(n, 1)`` each, to ratings of shape ``(n, 1)``.
    """
    k = options.keras_factors
    item = keras.Input(shape=(1,), name="Item", dtype="int32")
    item_vector = embed(item, n_items, k, names=("ItemEmbedding", "FlattenItemE"), options=options, seed=seed)
    item_bias = embed(item, n_items, 1, names=("ItemBias", "FlattenItemBiasE"), options=options, seed=seed)
    user = keras.Input(shape=(1,), name="User", dtype="int32")
    user_vector = embed(user, n_users, k, names=("UserEmbedding", "FlattenUserE"), options=options, seed=seed)
    user_bias = embed(user, n_users, 1, names=("UserBias", "FlattenUserBiasE"), options=options, seed=seed)
    dot = keras.layers.Dot(axes=1, name="DotProduct")([item_vector, user_vector])
    score = keras.layers.Add(name="AddBias")([dot, item_bias, user_bias])
    if mean_rating is not None:
        score = keras.layers.Rescaling(1.0, offset=_logit(mean_rating, min_rating, max_rating), name="Mean")(score)
    share = keras.layers.Activation("sigmoid", name="Sigmoid")(score)
    # The notebook's Lambda layer does not load in safe mode; Rescaling computes the same and does.
    rating = keras.layers.Rescaling(max_rating - min_rating, offset=min_rating, name="RatingRange")(share)
    model = keras.Model([user, item], rating, name="ExplicitMatrixFactorisationBias")
    model.compile(loss="mean_squared_error", optimizer=keras.optimizers.Adam(1e-3))
    return model


def _logit(rating: float, lowest: float, highest: float) -> float:
    share = (rating - lowest) / (highest - lowest) if highest > lowest else 0.5
    share = min(max(share, _SMALLEST_SHARE), 1 - _SMALLEST_SHARE)
    return math.log(share / (1 - share))
