"""Rated pairs of many ratings, sorted a range of users at a time."""

from pathlib import Path

import numpy as np

from recobatch.rated import RatedPairs
from recobatch.storage.disk_array import DiskArray

_ROWS_PER_PART = 1 << 23


class PairsByUser:
    """Pairs on disk, in parts by ranges of users."""

    def __init__(self, scratch: Path, n_users: int, n_items: int, n_ratings: int) -> None:
        self._n_users, self._n_items = n_users, n_items
        parts = max(1, -(-n_ratings // _ROWS_PER_PART))
        self._width = -(-n_users // parts)
        starts = range(0, n_users, self._width)
        self._users = [DiskArray(scratch / f"user-{start}", "int32") for start in starts]
        self._items = [DiskArray(scratch / f"item-{start}", "int32") for start in starts]

    def add(self, user_index: np.ndarray, item_index: np.ndarray) -> None:
        """Add pairs: int32, shape ``(n,)`` each."""
        part = (user_index // self._width).astype(np.uint16)
        order = np.argsort(part, kind="stable") if len(self._users) > 1 else slice(None)
        ends = np.cumsum(np.bincount(part, minlength=len(self._users)))
        user, item = user_index[order], item_index[order]
        for number, (start, end) in enumerate(zip((0, *ends[:-1]), ends, strict=True)):
            self._users[number].append(user[start:end])
            self._items[number].append(item[start:end])

    def collect(self) -> RatedPairs:
        """All pairs, each once."""
        counts, items = [np.zeros(1, np.int64)], []
        for number, (user, item) in enumerate(zip(self._users, self._items, strict=True)):
            start = number * self._width
            width = min(self._width, self._n_users - start)
            part = RatedPairs.of_pairs(
                user.read(0, len(user)) - np.int32(start), item.read(0, len(item)), n_users=width, n_items=self._n_items
            )
            counts.append(np.diff(part.indptr))
            items.append(part.item_index)
        return RatedPairs(np.cumsum(np.concatenate(counts)), np.concatenate(items), self._n_items)
