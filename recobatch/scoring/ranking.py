"""The top items of many users at once: few passes over the scores, ties in the order of the items. NumPy only."""

from typing import NamedTuple, Self

import numpy as np


class Best(NamedTuple):
    """The best items of a block of users, by row, then rank: columns of shape ``(n,)`` each."""

    row: np.ndarray
    """int64, of the user in the block."""
    rank: np.ndarray
    """int32, from 1."""
    item: np.ndarray
    """int64."""
    score: np.ndarray
    """float32; what the items are ranked by."""
    raw: np.ndarray
    """float32; the rating model's score before its link."""

    @classmethod
    def none(cls) -> Self:
        """No rows."""
        return cls(*(np.empty(0, dtype=kind) for kind in ("i8", "i4", "i8", "f4", "f4")))


def best_of_rows(scores: np.ndarray, least: np.ndarray, raw: np.ndarray, k: int) -> Best:
    """Rank the best ``k`` items of each row, of those that reach a score.

    Args:
        scores: As in ``best_candidates``.
        least: Likewise.
        raw: The rating model's scores, of the same shape.
        k: At least 1.
    """
    rows, places = best_candidates(scores, least)
    found = scores.ravel()[places]
    chosen, rank = rank_candidates(rows, found, k)
    rows, places = rows[chosen], places[chosen]
    return Best(rows, rank, places - rows * scores.shape[1], found[chosen], raw.ravel()[places])


def best_candidates(scores: np.ndarray, least: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the items that reach a score.

    Args:
        scores: float32, shape ``(n, n_items)``, contiguous, without NaN, minus infinity for excluded items.
        least: Lowest score of a candidate of each row, float32, shape ``(n,)``: ``kth_best(scores, k)`` gives at least
            the top ``k`` and all items that tie with the last of them.

    Returns:
        Row of each candidate and its place in the flattened ``scores``, ascending. Items with a score of minus infinity
        are no candidates.
    """
    n_items = scores.shape[1]
    reached = scores >= least[:, None]
    if np.isneginf(least).any():
        reached &= scores > -np.inf
    places = np.flatnonzero(reached)
    heads = np.searchsorted(places, np.arange(len(scores) + 1) * n_items)
    rows = np.repeat(np.arange(len(scores)), np.diff(heads))  # cheaper than dividing every place
    return rows, places


_LEAST_GROUPS = 512
"""NumPy takes the maximum of a group item by item, over all groups at once: of few groups it is slow."""


def kth_best(scores: np.ndarray, k: int) -> np.ndarray:
    """For each row, a score that at least ``k`` of its items reach: float32, shape ``(n,)``.

    Minus infinity where a row has fewer than ``k`` items with a score. NaN becomes minus infinity in ``scores``.
    """
    maxima = _group_maxima(scores, k)
    if np.isnan(maxima.max(initial=-np.inf)):
        scores[np.isnan(scores)] = -np.inf  # NumPy would sort them to the top
        maxima = _group_maxima(scores, k)
    if k > scores.shape[1]:
        return np.full(len(scores), -np.inf, dtype=np.float32)
    maxima.partition(maxima.shape[1] - k, axis=1)
    return maxima[:, maxima.shape[1] - k]


def _group_maxima(scores: np.ndarray, k: int) -> np.ndarray:
    """For each row, the maxima of ``4 k`` groups of its items, or the scores themselves if items are few.

    The ``k``-th largest maximum is a bound that at least ``k`` items reach, and 14 % more if scores are in random
    order. Maxima take a fifth of the time of a partition.
    """
    groups = max(4 * k, _LEAST_GROUPS)
    depth, rest = divmod(scores.shape[1], groups)
    if depth < 2:
        return scores.copy()
    maxima: np.ndarray = scores[:, : depth * groups].reshape(len(scores), depth, groups).max(axis=1)
    np.maximum(maxima[:, :rest], scores[:, depth * groups :], out=maxima[:, :rest])
    return maxima


def rank_candidates(rows: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Order candidates by row, then score from the highest, then place, and keep ``k`` of each row.

    Args:
        rows: Ascending, shape ``(n,)``, fewer than 2³² of them.
        scores: float32, shape ``(n,)``, not NaN.
        k: At least 1.

    Returns:
        Places of the kept candidates in ``rows``, int64, and their ranks, int32, from 1.
    """
    counts = np.bincount(rows)
    # One 64-bit key per candidate, score in the upper half and place in the lower: the fastest sort in NumPy.
    keys = np.full((len(counts), counts.max(initial=0)), np.iinfo(np.uint64).max, dtype=np.uint64)
    places = np.arange(len(rows), dtype=np.uint64)
    keys[_first(counts, keys.shape[1])] = (_descending(scores) << np.uint64(32)) | places
    keys.sort(axis=1)
    counts = np.minimum(counts, k)
    chosen = keys[_first(counts, keys.shape[1])] & np.uint64(0xFFFFFFFF)
    ranks = np.arange(1, len(chosen) + 1) - np.repeat(np.cumsum(counts) - counts, counts)
    return chosen.astype(np.int64), ranks.astype(np.int32)


def top_places(scores: np.ndarray, k: int) -> np.ndarray:
    """The places of each row's ``k`` best scores in the flattened array, equal ones in their order.

    Args:
        scores: float32, shape ``(n, width)``, contiguous. Those not above zero, NaN too, come last in any order.
        k: At most ``width``.

    Returns:
        int64, shape ``(n, k)``.
    """
    bits = np.fmax(scores, np.float32(0)).view(np.int32)  # ascend with the scores
    keys = np.left_shift(~bits, 32, dtype=np.int64)
    keys |= np.arange(scores.size).reshape(scores.shape)
    keys.sort(axis=1)
    return keys[:, :k] & 0xFFFFFFFF


def _first(counts: np.ndarray, width: int) -> np.ndarray:
    """Mask of the first ``counts`` columns of each row: bool, shape ``(len(counts), width)``."""
    return np.arange(width) < counts[:, None]


def _descending(values: np.ndarray) -> np.ndarray:
    """Uint64 codes below 2³² that ascend while float32 ``values`` descend; equal for equal values."""
    bits = (values + np.float32(0)).view(np.uint32)  # minus zero becomes zero
    return np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF)).astype(np.uint64)
