"""Digests of each user's ratings, which tell whose ratings have changed without keeping the ratings."""

import numpy as np

from recobatch.interactions import EncodedInteractions

_ODD = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def rating_digests(ratings: EncodedInteractions) -> np.ndarray:
    """A number for the items and values of each user's ratings, whatever their order: uint64, shape ``(n_users,)``.

    The sum of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014) of every rating's item and bits; 0 without ratings.
    """
    value = ratings.rating.astype(np.float32).view(np.uint32).astype(np.uint64)
    mixed = (ratings.item_index.astype(np.uint64) << np.uint64(32) | value) + _ODD
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    mixed ^= mixed >> np.uint64(31)
    sums = np.zeros(ratings.n_users, dtype=np.uint64)
    np.add.at(sums, ratings.user_index, mixed)
    return sums
