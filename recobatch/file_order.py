"""The order of a file of ratings within users: by item id, rating or title, a split in file order would not be fair."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from recobatch.interactions import EncodedInteractions

SORTED = 0.9
"""Rank correlation from which a user's ratings count as sorted."""
_SAMPLED = 1000
_FEWEST = 5
"""Ratings from which a user's order is looked at."""


@dataclass(frozen=True)
class FileOrder:
    """What is found within most users."""

    sorted_by: str | None
    """``item id``, ``rating`` or ``title``; None where the file is sorted by none of them."""
    has_times: bool
    """Whether most users' ratings have known times, of which there are at least two."""

    @property
    def method(self) -> str:
        """The fair way to split: ``stratified`` by file order, ``chronological`` or ``random``."""
        if self.sorted_by is None:
            return "stratified"
        return "chronological" if self.has_times else "random"


def find_order(blocks: Iterable[EncodedInteractions], titles: np.ndarray | None = None) -> FileOrder:
    """Look at the order of up to a thousand users' ratings.

    Sorted by a column are the ratings of a user whose rank correlation (Spearman's) with their places in the file is
    above ``SORTED``, or below its negative; ratings whose values are all equal have none.

    Args:
        blocks: Ratings in file order, in one or more parts.
        titles: Place of each item in the order of the titles, shape ``(n_items,)``; None without titles.
    """
    is_sorted: dict[str, list[bool]] = {}
    has_times: list[bool] = []
    for rows in _sampled_users(blocks):
        if len(rows) < _FEWEST:
            continue
        keys = {"item id": rows.item_index, "rating": rows.rating}
        for name, key in (keys if titles is None else keys | {"title": titles[rows.item_index]}).items():
            if (correlation := _rank_correlation(key)) is not None:
                is_sorted.setdefault(name, []).append(abs(correlation) > SORTED)
        has_times.append(bool(rows.timestamp.min() >= 0 and np.ptp(rows.timestamp) > 0))
    found = next((name for name, each in is_sorted.items() if _most(each)), None)
    return FileOrder(found, _most(has_times))


def _sampled_users(blocks: Iterable[EncodedInteractions]) -> Iterator[EncodedInteractions]:
    """The ratings of each of some users spread over all of them, in file order."""
    parts: list[EncodedInteractions] = []
    for block in blocks:
        step = max(1, block.n_users // _SAMPLED)
        parts.append(block.take(block.user_index % step == 0))
    if not parts:
        return
    names = ("user_index", "item_index", "rating", "timestamp")
    columns: Mapping[str, np.ndarray] = {
        name: np.concatenate([getattr(each, name) for each in parts]) for name in names
    }
    rows = EncodedInteractions(**columns, n_users=parts[0].n_users, n_items=parts[0].n_items)
    order = np.argsort(rows.user_index, kind="stable")
    for chosen in np.split(order, np.flatnonzero(np.diff(rows.user_index[order])) + 1):
        yield rows.take(chosen)


def _rank_correlation(key: np.ndarray) -> float | None:
    """Spearman's correlation of values with their places, equal ones at their mean rank; None if all are equal."""
    _, inverse, counts = np.unique(key, return_inverse=True, return_counts=True)
    if len(counts) == 1:
        return None
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float(np.corrcoef(ranks, np.arange(len(key)))[0, 1])


def _most(flags: list[bool]) -> bool:
    return bool(flags) and 2 * sum(flags) > len(flags)
