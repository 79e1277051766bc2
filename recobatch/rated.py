"""The rated pairs of the input, as a sparse row per user."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from recobatch.interactions import EncodedInteractions


@dataclass(frozen=True, eq=False)
class RatedPairs:
    """The rated items of every user by rows: those of user u are ``item_index[indptr[u]:indptr[u + 1]]``."""

    indptr: np.ndarray
    """int64, shape ``(n_users + 1,)``."""
    item_index: np.ndarray
    """int32, shape ``(n_rated,)``, ascending within a user."""
    n_items: int

    @classmethod
    def collect(cls, interactions: EncodedInteractions) -> Self:
        """Sort the pairs of ``interactions`` by user, then item; each pair counts once."""
        return cls.of_pairs(
            interactions.user_index, interactions.item_index,
            n_users=interactions.n_users, n_items=interactions.n_items,
        )  # fmt: skip

    @classmethod
    def of_pairs(cls, user_index: np.ndarray, item_index: np.ndarray, *, n_users: int, n_items: int) -> Self:
        """As ``collect``, from indices: integers, shape ``(n,)`` each, in any order."""
        key = user_index.astype(np.int64) * n_items + item_index
        if (key[1:] < key[:-1]).any():
            key.sort()  # np.unique hashes, which takes forty times as long as this sort
        key = key[np.append(key[:-1] != key[1:], True)] if len(key) else key
        users = key // n_items
        indptr = np.concatenate(([0], np.cumsum(np.bincount(users, minlength=n_users))))
        items = (key - users * n_items).astype(np.int32)
        return cls(indptr.astype(np.int64), items, n_items)

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """User and item index of every rated pair, ascending: int64 and int32, shape ``(n_rated,)`` each."""
        return np.repeat(np.arange(self.n_users), np.diff(self.indptr)), self.item_index

    def contains(self, user_index: np.ndarray, item_index: np.ndarray) -> np.ndarray:
        """Whether each of the given pairs was rated: bool, shape ``(n,)``."""
        return self.places(user_index, item_index) >= 0

    def places(self, user_index: np.ndarray, item_index: np.ndarray) -> np.ndarray:
        """Place of each of the given pairs among the rated ones, -1 for others: int64, shape ``(n,)``.

        It is fastest for pairs that ascend.
        """
        users, items = self.pairs()
        rated, wanted = users * self.n_items + items, user_index.astype(np.int64) * self.n_items + item_index
        if (wanted[1:] >= wanted[:-1]).all():
            return _places_of(wanted, rated)
        order = np.argsort(wanted)  # looked up in order, neighbours lie in the cache: six times as fast
        found = np.empty(len(wanted), dtype=np.int64)
        found[order] = _places_of(wanted[order], rated)
        return found

    @property
    def n_users(self) -> int:
        return len(self.indptr) - 1

    @property
    def user_counts(self) -> np.ndarray:
        """Rated items of each user: int64, shape ``(n_users,)``."""
        return np.diff(self.indptr)

    @cached_property
    def item_counts(self) -> np.ndarray:
        """Users that rated each item: int64, shape ``(n_items,)``."""
        return np.bincount(self.item_index, minlength=self.n_items)

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 over every pair, as 64 hex digits."""
        digest = hashlib.sha256(f"{self.n_users}:{self.n_items}:".encode())
        for array in (self.indptr, self.item_index):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def mask(self, users: slice) -> np.ndarray:
        """Whether each pair of a block of users was rated: bool, shape ``(users.stop - users.start, n_items)``."""
        block = np.zeros((users.stop - users.start, self.n_items), dtype=bool)
        block.ravel()[self.positions(users)] = True
        return block

    def positions(self, users: slice) -> np.ndarray:
        """Positions of the rated pairs of a block of users in the flattened block: int64, ascending."""
        first, last = self.indptr[users.start], self.indptr[users.stop]
        offsets = np.arange(users.stop - users.start, dtype=np.int64) * self.n_items
        counts = np.diff(self.indptr[users.start : users.stop + 1])
        return np.repeat(offsets, counts) + self.item_index[first:last]

    def save(self, path: Path) -> None:
        """Write an ``.npz`` of plain arrays."""
        with path.open("wb") as file:
            np.savez(file, indptr=self.indptr, item_index=self.item_index, n_items=np.int64(self.n_items))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Inverse of ``save``."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["indptr"], file["item_index"], int(file["n_items"]))


def _places_of(wanted: np.ndarray, rated: np.ndarray) -> np.ndarray:
    """Place of each ascending number among other ascending ones, -1 where it is not there."""
    place = np.searchsorted(rated, wanted)
    return np.where(np.append(rated, -1)[place] == wanted, place, -1)
