"""The best items of many users at once: few passes over the scores, exact even where predictions tie. NumPy only."""

import math

import numpy as np

from recobatch.factors import FactorModel, Link


def best_candidates(scores: np.ndarray, k: int, model: FactorModel) -> tuple[np.ndarray, np.ndarray]:
    """Find all items that may be among the best ``k`` of their user once the link has rounded their scores.

    Args:
        scores: Raw scores, float32, shape ``(n, n_items)``, minus infinity for items that are out of the question.
        k: At least 1.
        model: Whose link the scores are for.

    Returns:
        Row and item of each candidate, by row, then item: at least the best ``k`` of every row, and whatever may tie
        with them. An item without a finite or positive infinite score is never one.
    """
    n_items = scores.shape[1]
    if np.isnan(scores.max()):
        scores[np.isnan(scores)] = -np.inf  # NumPy would sort them to the top
    least = np.full(len(scores), -np.inf, dtype=np.float32)
    if k < n_items:
        ordered = scores.copy()
        ordered.partition(n_items - k, axis=1)
        least[:] = _least_tying(ordered[:, n_items - k].tolist(), model)
    rows, items = np.divmod(np.flatnonzero(scores >= least[:, None]), n_items)
    if np.isneginf(least).any():
        possible = scores[rows, items] > -np.inf
        rows, items = rows[possible], items[possible]
    return rows, items


def _least_tying(scores: list[float], model: FactorModel) -> list[float]:
    """For each score, one below which no prediction can equal its own: the link is steep, but flat near its ends."""
    if model.link is Link.IDENTITY:
        return scores
    span = model.max_rating - model.min_rating
    # The link is computed in float32; a few of its last bits, of the largest value it can take, bound its error.
    error = 2**-20 * max(abs(model.min_rating), abs(model.max_rating), span) / span
    shares = [1 / (1 + math.exp(-score)) - error if score > -700 else 0.0 for score in scores]
    return [
        min(score, math.log(share / (1 - share))) if share > 0 else -math.inf
        for score, share in zip(scores, shares, strict=True)
    ]


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
        Row, rank (int32, from 1), item and prediction of each that is kept.
    """
    heads = np.flatnonzero(np.diff(rows, prepend=-1))
    counts = np.diff(heads, append=len(rows))
    place = np.arange(len(rows)) - np.repeat(heads, counts)
    # One 64-bit key per candidate, prediction in the upper half and item in the lower: NumPy sorts those fastest.
    keys = np.full((len(heads), counts.max(initial=0)), np.iinfo(np.uint64).max, dtype=np.uint64)
    line = np.repeat(np.arange(len(heads)), counts)
    keys[line, place] = (_descending(predictions) << np.uint64(32)) | items.astype(np.uint64)
    keys.sort(axis=1)
    keys = keys[:, :k]
    kept = np.arange(keys.shape[1]) < np.minimum(counts, k)[:, None]
    order, ranks = np.nonzero(kept)
    chosen = keys[kept]
    return (
        rows[heads][order],
        (ranks + 1).astype(np.int32),
        (chosen & np.uint64(0xFFFFFFFF)).astype(np.int64),
        _from_descending(chosen >> np.uint64(32)),
    )


def _descending(values: np.ndarray) -> np.ndarray:
    """Uint64 codes below 2³² that ascend while float32 ``values`` descend; equal for equal values."""
    bits = (values + np.float32(0)).view(np.uint32)  # minus zero becomes zero
    return np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF)).astype(np.uint64)


def _from_descending(codes: np.ndarray) -> np.ndarray:
    bits = codes.astype(np.uint32)
    return np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF)).view(np.float32)
