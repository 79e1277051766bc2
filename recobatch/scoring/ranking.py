"""The top items of many users at once: few passes over the scores, exact for tied predictions. NumPy only."""

import numpy as np

from recobatch.factors import FactorModel, Link


def best_candidates(scores: np.ndarray, k: int, model: FactorModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find all items that may be among the top ``k`` of their user after the link has rounded their scores.

    Args:
        scores: Raw scores, float32, shape ``(n, n_items)``, contiguous, minus infinity for excluded items. NaN becomes
            minus infinity.
        k: At least 1.
        model: The model, for its link.

    Returns:
        Row, item and raw score of each candidate, by row, then item: at least the top ``k`` of every row, and all items
        that may tie with them. Items with a score of minus infinity are no candidates.
    """
    n_items = scores.shape[1]
    maxima = _group_maxima(scores, k)
    if np.isnan(maxima.max()):
        scores[np.isnan(scores)] = -np.inf  # NumPy would sort them to the top
        maxima = _group_maxima(scores, k)
    least = np.full(len(scores), -np.inf, dtype=np.float32)
    if k < n_items:
        maxima.partition(maxima.shape[1] - k, axis=1)
        least = _least_tying(maxima[:, maxima.shape[1] - k], model)
    reached = scores >= least[:, None]
    if np.isneginf(least).any():
        reached &= scores > -np.inf
    places = np.flatnonzero(reached)
    heads = np.searchsorted(places, np.arange(len(scores) + 1) * n_items)
    rows = np.repeat(np.arange(len(scores)), np.diff(heads))  # cheaper than dividing every place
    return rows, places - rows * n_items, scores.ravel()[places]


def _group_maxima(scores: np.ndarray, k: int) -> np.ndarray:
    """For each row, the maxima of ``8 k`` groups of its items, or the scores themselves if items are few.

    The ``k``-th largest maximum is a bound that at least ``k`` items reach, and 7 % more if scores are in random order.
    Maxima take a fifth of the time of a partition.
    """
    groups = 8 * k
    depth, rest = divmod(scores.shape[1], groups)
    if depth < 2:
        return scores.copy()
    maxima: np.ndarray = scores[:, : depth * groups].reshape(len(scores), depth, groups).max(axis=1)
    np.maximum(maxima[:, :rest], scores[:, depth * groups :], out=maxima[:, :rest])
    return maxima


def _least_tying(scores: np.ndarray, model: FactorModel) -> np.ndarray:
    """For each score, a lower bound of the scores whose predictions may be equal: the sigmoid is flat near its ends."""
    if model.link is Link.IDENTITY:
        return scores
    span = model.max_rating - model.min_rating
    if span == 0:
        return np.full_like(scores, -np.inf)
    # The link is computed in float32: its error is at most a few of the last bits of its largest value.
    error = 2**-20 * max(abs(model.min_rating), abs(model.max_rating), span) / span
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        shares = 1 / (1 + np.exp(-scores.astype(np.float64))) - error
        least = np.where(shares > 0, np.minimum(scores, np.log(shares / (1 - shares))), -np.inf)
    return least.astype(np.float32)


def rank_candidates(
    rows: np.ndarray, items: np.ndarray, predictions: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Order candidates by row, then prediction from the highest, then item, and keep ``k`` of each row.

    Args:
        rows: Ascending, shape ``(n,)``.
        items: Shape ``(n,)``, at least 0 and below 2³².
        predictions: float32, shape ``(n,)``, not NaN.
        k: At least 1.

    Returns:
        Row, rank (int32, from 1), item and prediction of the kept candidates.
    """
    counts = np.bincount(rows)
    # One 64-bit key per candidate, prediction in the upper half and item in the lower: the fastest sort in NumPy.
    keys = np.full((len(counts), counts.max(initial=0)), np.iinfo(np.uint64).max, dtype=np.uint64)
    keys[_first(counts, keys.shape[1])] = (_descending(predictions) << np.uint64(32)) | items.astype(np.uint64)
    keys.sort(axis=1)
    counts = np.minimum(counts, k)
    chosen = keys[_first(counts, keys.shape[1])]
    ranks = np.arange(1, len(chosen) + 1) - np.repeat(np.cumsum(counts) - counts, counts)
    return (
        np.repeat(np.arange(len(counts)), counts),
        ranks.astype(np.int32),
        (chosen & np.uint64(0xFFFFFFFF)).astype(np.int64),
        _from_descending(chosen >> np.uint64(32)),
    )


def _first(counts: np.ndarray, width: int) -> np.ndarray:
    """Mask of the first ``counts`` columns of each row: bool, shape ``(len(counts), width)``."""
    return np.arange(width) < counts[:, None]


def _descending(values: np.ndarray) -> np.ndarray:
    """Uint64 codes below 2³² that ascend while float32 ``values`` descend; equal for equal values."""
    bits = (values + np.float32(0)).view(np.uint32)  # minus zero becomes zero
    return np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF)).astype(np.uint64)


def _from_descending(codes: np.ndarray) -> np.ndarray:
    bits = codes.astype(np.uint32)
    return np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF)).view(np.float32)
