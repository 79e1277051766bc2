"""Test rows gathered into the groups that the pictures show. NumPy only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_LADDER = (0, 1, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
_SMALLEST_SHARE = 0.005
"""Groups with a smaller share of the rows join their neighbour: their error would be chance."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Rows in groups of equal size, by rising prediction."""

    predicted: np.ndarray
    """Mean prediction per group."""
    observed: np.ndarray
    """Mean rating per group."""


@dataclass(frozen=True, eq=False)
class CountGroups:
    """Rows grouped by how many training ratings their user (or item) has."""

    labels: tuple[str, ...]
    """Such as ``20–49``."""
    group: np.ndarray
    """Group of each row, integers, shape ``(n,)``."""
    sizes: np.ndarray
    """Rows per group."""

    def rmse(self, rating: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        """Root mean squared error per group, rating units."""
        squared = (np.asarray(prediction, np.float64) - rating) ** 2
        return np.sqrt(np.bincount(self.group, squared, len(self.labels)) / self.sizes)


@dataclass(frozen=True)
class ItemError:
    """How well one item is predicted."""

    title: str
    n_rows: int
    rating: float
    """Mean of its test ratings."""
    prediction: float
    """Mean prediction for the same rows."""
    rmse: float


def calibrate(rating: np.ndarray, prediction: np.ndarray, n_groups: int = 10) -> Calibration:
    """Mean prediction and mean rating of ``n_groups`` groups of rows (fewer where rows are scarce)."""
    order = np.argsort(prediction, kind="stable")
    groups = [group for group in np.array_split(order, n_groups) if len(group)]
    return Calibration(
        np.array([prediction[group].mean(dtype=np.float64) for group in groups]),
        np.array([rating[group].mean(dtype=np.float64) for group in groups]),
    )


def group_by_count(counts: np.ndarray) -> CountGroups:
    """Group rows on a 1-2-5 ladder.

    Args:
        counts: Training ratings of the user (or item) of each row, integers, shape ``(n,)``.
    """
    sizes = np.histogram(counts, [*_LADDER, np.iinfo(np.int64).max])[0]
    starts = _merged_starts(sizes, max(1, int(_SMALLEST_SHARE * len(counts))))
    ends = [following - 1 for following in starts[1:]]
    labels = [_label(first, first and last) for first, last in zip(starts, [*ends, int(counts.max())], strict=True)]
    group = np.searchsorted(starts, counts, side="right") - 1
    return CountGroups(tuple(labels), group, np.bincount(group, minlength=len(labels)))


def _merged_starts(sizes: np.ndarray, smallest: int) -> list[int]:
    """Lower ends of the groups left when small ones have joined a neighbour; rows counting 0 stay apart."""
    kept: list[int] = []
    gathered = 0
    for start, size in zip(reversed(_LADDER[1:]), reversed(sizes[1:].tolist()), strict=True):
        gathered += size
        if gathered >= smallest:
            kept.append(start)
            gathered = 0
    if gathered:
        kept[-1:] = [_LADDER[1]]
    if sizes[0]:
        kept.append(0)
    return kept[::-1]


def _label(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


def item_errors(
    item_index: np.ndarray, rating: np.ndarray, prediction: np.ndarray, titles: Sequence[str], at_least: int = 10
) -> list[ItemError]:
    """Items by rising error.

    Args:
        item_index: Integers, shape ``(n,)``.
        rating: Observed, shape ``(n,)``.
        prediction: Computed, shape ``(n,)``.
        titles: One per item.
        at_least: Test rows an item needs to be listed; halved until twenty items have them.
    """
    n_items = len(titles)
    counts = np.bincount(item_index, minlength=n_items)
    while at_least > 1 and (counts >= at_least).sum() < 20:
        at_least //= 2
    listed = np.flatnonzero(counts >= at_least)
    error = np.asarray(prediction, np.float64) - rating
    with np.errstate(invalid="ignore"):
        rmse = np.sqrt(np.bincount(item_index, error**2, n_items) / counts)
        mean_rating = np.bincount(item_index, rating, n_items) / counts
        mean_prediction = np.bincount(item_index, prediction, n_items) / counts
    return [
        ItemError(titles[item], int(counts[item]), float(mean_rating[item]), float(mean_prediction[item]),
                  float(rmse[item]))
        for item in listed[np.argsort(rmse[listed], kind="stable")]
    ]  # fmt: skip


def map_items(item_factors: np.ndarray) -> tuple[np.ndarray, float]:
    """Lay the items out on the two directions in which their factors differ most (principal components by SVD).

    Args:
        item_factors: float, shape ``(n_items, n_factors)``.

    Returns:
        Positions, shape ``(n_items, 2)``, and the share of the variance they show, 0 to 1.
    """
    centred = np.asarray(item_factors, np.float64) - item_factors.mean(axis=0)
    # Of the small square matrix: the tall one has as many rows as there are items.
    _, strength, directions = np.linalg.svd(centred.T @ centred)
    flip = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])
    positions = centred @ (directions * flip[:, None])[:2].T
    if positions.shape[1] < 2:
        positions = np.column_stack([positions, np.zeros(len(positions))])
    total = strength.sum()
    return positions, float(strength[:2].sum() / total) if total else 0.0
