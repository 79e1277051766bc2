"""The spread of predictions for users and items without training ratings. NumPy only."""

import math
from dataclasses import replace

import numpy as np

from recobatch.evaluation.noise import HeldOut
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions
from recobatch.intervals import NoiseTerms


def widened(
    noise: NoiseTerms, factors: FactorModel, held_out: EncodedInteractions, *, user_ratings: np.ndarray,
    item_ratings: np.ndarray,
) -> NoiseTerms:  # fmt: skip
    """Noise terms that say how little is known of users and items without training ratings.

    A random part of the ratings holds out no such user or item. So the held-out ratings are predicted once more as if
    they were the average user's, or the average item's; what their squared residuals exceed the other side's terms by
    is the variance of a user, or an item, of whom nothing is known.

    Args:
        noise: Fitted to held-out ratings.
        factors: Of the model that made their predictions.
        held_out: These ratings.
        user_ratings: Training ratings of each user, shape ``(n_users,)``.
        item_ratings: Training ratings of each item, shape ``(n_items,)``.
    """
    user_sd, item_sd = noise.user_sd.copy(), noise.item_sd.copy()
    if not user_ratings.all():
        average = replace(
            factors, user_factors=_average(factors.user_factors, user_ratings),
            user_bias=_average(factors.user_bias, user_ratings),
        )  # fmt: skip
        user_sd[user_ratings == 0] = _unknown_sd(average, held_out, noise.item_sd[held_out.item_index])
    if not item_ratings.all():
        average = replace(
            factors, item_factors=_average(factors.item_factors, item_ratings),
            item_bias=_average(factors.item_bias, item_ratings),
        )  # fmt: skip
        item_sd[item_ratings == 0] = _unknown_sd(average, held_out, noise.user_sd[held_out.user_index])
    return NoiseTerms(user_sd, item_sd)


def _average(rows: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """The mean of the rows that have ratings, as every row."""
    return np.broadcast_to(rows[ratings > 0].mean(axis=0, dtype=np.float64).astype(rows.dtype), rows.shape)


def _unknown_sd(average: FactorModel, held_out: EncodedInteractions, other_sd: np.ndarray) -> float:
    squared = HeldOut.of(average, held_out).squared_residuals()
    return math.sqrt(max(float(squared.mean()) - float(np.mean(other_sd.astype(np.float64) ** 2)), 0.0))
