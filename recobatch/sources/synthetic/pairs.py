"""Pairs of users and items, with the long tails of real ratings.

Activity and popularity are log-normal, the more uneven the more items there are, as in MovieLens 100k, 10M and 25M.
"""

from statistics import NormalDist

import numpy as np

_DENSE = 0.25
"""From this share of all pairs on, one weighted sample of all pairs replaces repeated draws."""
_USER_SKEW = 1.24
"""Spread of the logarithm of user activity: MovieLens 25M has a mean of 154 ratings a user and a median of 71."""


def draw_pairs(rng: np.random.Generator, n_users: int, n_items: int, n_ratings: int) -> np.ndarray:
    """Draw distinct pairs; every user and every item is in one of them if ``n_ratings`` allows.

    Args:
        rng: Random generator.
        n_users: Users, at least 1.
        n_items: Items, at least 1.
        n_ratings: Pairs to draw, at most ``n_users * n_items``.

    Returns:
        Pairs as ``user_index * n_items + item_index``, int64, shape ``(n_ratings,)``, in no useful order.
    """
    item_skew = float(np.clip(1.25 + 1.07 * (np.log10(n_items) - 3.23), 0.5, 3))
    users = _weights(rng, n_users, _USER_SKEW, 0.5 * n_items / n_ratings)
    items = _weights(rng, n_items, item_skew, 0.5 * n_users / n_ratings)
    covering = _covering(rng, n_users, n_items)[:n_ratings]
    if n_ratings >= _DENSE * n_users * n_items:
        return _heaviest(rng, users, items, covering, n_ratings)
    # The lowest bit marks drawn pairs, which may be dropped; the covering ones sort before them.
    marked = covering << 1
    while len(marked) < n_ratings:
        missing = n_ratings - len(marked)
        drawn = _draw(rng, users, missing + missing // 4 + 16) * n_items
        drawn += _draw(rng, items, len(drawn))
        marked = _distinct(np.concatenate((marked, (drawn << 1) | 1)))
        surplus = len(marked) - n_ratings
        if surplus > 0:
            marked = np.delete(marked, rng.choice(np.flatnonzero(marked & 1), surplus, replace=False, shuffle=False))
    return marked >> 1


def _weights(rng: np.random.Generator, count: int, skew: float, largest: float) -> np.ndarray:
    """Shares that add up to 1: log-normal quantiles in random order, none beyond ``largest`` (if that can be)."""
    normal = NormalDist()
    quantiles = np.array([normal.inv_cdf((place + 0.5) / count) for place in range(count)])
    shares = np.exp(skew * quantiles)
    for _ in range(20):
        shares /= shares.sum()
        np.minimum(shares, max(largest, 1 / count), out=shares)
    return rng.permutation(shares / shares.sum())


def _distinct(marked: np.ndarray) -> np.ndarray:
    """Sorted, each pair once; ``np.unique`` hashes, which takes forty times as long as this sort."""
    marked.sort()
    pairs = marked >> 1
    return marked[np.concatenate(([True], pairs[1:] != pairs[:-1]))]


def _covering(rng: np.random.Generator, n_users: int, n_items: int) -> np.ndarray:
    """As few pairs as possible with every user and every item among them."""
    count = np.arange(max(n_users, n_items))
    return rng.permutation(n_users)[count % n_users] * n_items + rng.permutation(n_items)[count % n_items]


def _draw(rng: np.random.Generator, shares: np.ndarray, count: int) -> np.ndarray:
    """Indices drawn by their shares, with Walker's alias method: int64, shape ``(count,)``."""
    keep, alias = _alias_table(shares)
    index = rng.integers(len(shares), size=count)
    return np.where(rng.random(count, dtype=np.float32) < keep[index], index, alias[index])


def _alias_table(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vose, "A linear algorithm for generating random numbers with a given distribution", IEEE TSE 17(9), 1991."""
    scaled = (shares * len(shares)).tolist()
    alias = list(range(len(scaled)))
    small = [place for place, share in enumerate(scaled) if share < 1]
    large = [place for place, share in enumerate(scaled) if share >= 1]
    while small and large:
        poor, rich = small.pop(), large[-1]
        alias[poor] = rich
        scaled[rich] -= 1 - scaled[poor]
        if scaled[rich] < 1:
            small.append(large.pop())
    for place in small + large:
        scaled[place] = 1.0
    return np.array(scaled, dtype=np.float32), np.array(alias, dtype=np.int64)


def _heaviest(
    rng: np.random.Generator, users: np.ndarray, items: np.ndarray, covering: np.ndarray, count: int
) -> np.ndarray:
    """A weighted sample without replacement from all pairs: the ``count`` smallest exponential arrival times."""
    arrival = rng.standard_exponential((len(users), len(items)), dtype=np.float32)
    arrival /= (users[:, None] * items).astype(np.float32)
    arrival = arrival.ravel()
    arrival[covering] = 0
    return np.argpartition(arrival, count - 1)[:count].astype(np.int64)
