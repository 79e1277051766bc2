"""The rows of many files, gathered on disk; their ids, in memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.ingest.checks import superseded
from recobatch.ingest.writing import RatingsWriter, vocabulary_of
from recobatch.quarantine import Reason
from recobatch.reading import Ids, RawRatings
from recobatch.storage.disk_array import BLOCK_ROWS, DiskArray
from recobatch.vocabulary import Vocabulary

_ROWS_PER_PASS = 1 << 24
"""Rows that are sorted at once, unless one user has more: some 0.6 GB."""


@dataclass
class _Names:
    """Distinct ids of a column over all files so far; a code stays with its id."""

    values: pa.Array = field(default_factory=lambda: pa.array([], pa.int64()))
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """Valid rows of each: those of duplicates too, because the pair has another row."""

    def add(self, ids: Ids, valid: np.ndarray) -> np.ndarray:
        """Codes of a file's rows: int32, shape ``(n,)``; -1 where there is no id."""
        new = ids.values
        if new.type != self.values.type:  # integers and texts in one column are texts
            self.values, new = (each.cast(pa.string()) if len(self.values) else each for each in (self.values, new))
            self.values = self.values.cast(new.type)
        self.values = pc.unique(pa.concat_arrays([self.values, new]))  # in the order of their first occurrence
        place = pc.index_in(new, value_set=self.values).to_numpy(zero_copy_only=False).astype(np.int32)
        codes = np.append(place, np.int32(Ids.NULL))[np.maximum(ids.codes, -1)]
        counts = np.bincount(codes[valid], minlength=len(self.values))
        counts[: len(self.counts)] += self.counts
        self.counts = counts
        return codes


class Gathered:
    """The rows of all files in order: codes of ids, ratings, times and reasons."""

    def __init__(self, scratch: Path) -> None:
        self._users, self._items = _Names(), _Names()
        self._user = DiskArray(scratch / "user", "int32")
        self._item = DiskArray(scratch / "item", "int32")
        self._rating = DiskArray(scratch / "rating", "float32")
        self._time = DiskArray(scratch / "time", "int64")
        self.reason = DiskArray(scratch / "reason", "uint8")

    def __len__(self) -> int:
        return len(self.reason)

    def add(self, raw: RawRatings, reason: np.ndarray) -> None:
        """Add the rows of a file.

        Args:
            raw: Its rows.
            reason: A ``Reason`` for each: uint8, shape ``(len(raw),)``.
        """
        valid = reason == 0
        self._user.append(self._users.add(raw.users, valid))
        self._item.append(self._items.add(raw.items, valid))
        with np.errstate(over="ignore"):
            self._rating.append(raw.rating.astype(np.float32))
        self._time.append(raw.timestamp)
        self.reason.append(reason)

    def mark_duplicates(self) -> None:
        """Find the pairs that occur again, in any file, one range of users after the other."""
        n_items = max(len(self._items.values), 1)
        for low, high in _ranges(self._users.counts):
            rows, key = [], []
            for start, user, item, reason in self._blocks(self._user, self._item, self.reason):
                chosen = np.flatnonzero((user >= low) & (user < high) & (reason == 0))
                rows.append(start + chosen)
                key.append((user[chosen].astype(np.int64) - low) * n_items + item[chosen])
            places = np.concatenate(rows)
            del rows
            again = superseded(np.concatenate(key), partial(self._times_of, places))
            self.reason.put(places[again], Reason.DUPLICATE)

    def _times_of(self, places: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return self._time.take(places[rows])

    def counts(self) -> np.ndarray:
        """Rows by ``Reason``."""
        return sum(
            (np.bincount(block, minlength=len(Reason)) for block in self.reason.blocks()),
            np.zeros(len(Reason), np.int64),
        )

    def write(self, path: Path) -> tuple[float, float, str]:
        """Write the valid rows as parquet.

        Returns:
            Lowest and highest rating, and the fingerprint, as of one file with these rows.
        """
        users, user_of = vocabulary_of(self._users.values, self._users.counts)
        items, item_of = vocabulary_of(self._items.values, self._items.counts)
        low, high = np.inf, -np.inf
        with RatingsWriter(path, users, items) as writer:
            for _, user, item, rating, time, reason in self._blocks(
                self._user, self._item, self._rating, self._time, self.reason
            ):
                valid = _valid(reason)
                if len(chosen := rating[valid]):
                    writer.write(user_of[user[valid]], item_of[item[valid]], chosen, time[valid])
                    low, high = min(low, float(chosen.min())), max(high, float(chosen.max()))
        return low, high, self._fingerprint((users, user_of), (items, item_of))

    def _fingerprint(self, users: tuple[Vocabulary, np.ndarray], items: tuple[Vocabulary, np.ndarray]) -> str:
        n_valid = int(self.counts()[Reason.VALID])
        digest = hashlib.sha256(f"{users[0].fingerprint}:{items[0].fingerprint}:{n_valid}:".encode())
        for column, index in ((self._user, users[1]), (self._item, items[1]), (self._rating, None), (self._time, None)):
            for _, block, reason in self._blocks(column, self.reason):
                chosen = block[_valid(reason)]
                digest.update(np.ascontiguousarray(chosen if index is None else index[chosen]).data)
        return digest.hexdigest()

    def _blocks(self, *columns: DiskArray) -> Iterator[tuple]:
        for number, blocks in enumerate(zip(*(column.blocks() for column in columns), strict=True)):
            yield number * BLOCK_ROWS, *blocks


def _valid(reason: np.ndarray) -> np.ndarray | slice:
    return slice(None) if not reason.any() else reason == 0


def _ranges(counts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of codes with at most ``_ROWS_PER_PASS`` rows each, or one code."""
    ends = np.cumsum(counts)
    low = 0
    while low < len(counts):
        before = ends[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + _ROWS_PER_PASS, side="right")))
        yield low, high
        low = high
