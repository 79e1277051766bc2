"""The mean of many low-rank products as one product of small rank, without the matrix of all pairs."""

from dataclasses import dataclass

import numpy as np

from recobatch.bayesian.columns import combined, gram
from recobatch.bayesian.threads import Threads
from recobatch.low_rank import leading_directions

LARGEST_MOVE = 0.004
"""Standard deviations of the ratings by which the choice of the rank may move a prediction."""
_HELD, _MOST_HELD = 512, 1024
"""Columns that are kept between compressions, of few and of many users and items. With few ratings of each user and
long vectors those beyond may matter: what they move is measured."""
_MANY_ROWS = 20_000
"""Users and items, of whom more columns are kept: their training takes minutes, a larger decomposition seconds."""
_MOST_BYTES = 1 << 31
"""Of more columns, with those that follow until the next compression."""
_TINY = np.float32(1e-20)
_KEPT = 64
"""Users whose sums with as many items as below are kept exactly."""
_PROBED = 2048
"""Users, and items, whose pairs are compared: those with the largest dropped parts."""


@dataclass(frozen=True, eq=False)
class Compressed:
    """``users @ items.T`` approximates the mean."""

    users: np.ndarray
    """float32, shape ``(n_users, rank)``."""
    items: np.ndarray
    """float32, shape ``(n_items, rank)``; orthogonal columns."""
    largest_move: float
    """Largest change of a prediction by the choice of the rank, in rating units: over all pairs, or, of many users or
    items, over those with the largest dropped parts; and where the sum was compressed as it grew, over a sample of the
    pairs, whose mean is kept exactly."""
    rms_move: float
    """Root mean square of the change over all pairs."""

    @property
    def rank(self) -> int:
        return self.users.shape[1]


class RunningProduct:
    """Sum of products ``P Qᵀ``, compressed as it grows, so that memory does not grow with the number of products."""

    def __init__(self, n_users: int, n_items: int, threads: Threads, held: int | None = None) -> None:
        self._users = [np.zeros((n_users, 0), dtype=np.float32)]
        self._items = [np.zeros((n_items, 0), dtype=np.float32)]
        self._rows = np.linspace(0, n_users - 1, min(_KEPT, n_users)).astype(np.int64)
        self._columns = np.linspace(0, n_items - 1, min(_PROBED, n_items)).astype(np.int64)
        self._exact = np.zeros((len(self._rows), len(self._columns)))
        self._threads = threads
        self._held = held or _held(n_users + n_items)
        self._count = 0
        self._dropped = 0.0

    def add(self, users: np.ndarray, items: np.ndarray) -> None:
        """Add ``users @ items.T``: shapes ``(n_users, k)`` and ``(n_items, k)``."""
        self._users.append(users.astype(np.float32))
        self._items.append(items.astype(np.float32))
        self._exact += users[self._rows] @ items[self._columns].T
        self._count += 1
        if sum(part.shape[1] for part in self._users) > 2 * self._held:
            self._compress(self._held)

    def _compress(self, most: int) -> np.ndarray:
        """Replace the sum by at most so many leading singular directions; returns their values.

        By the Gram matrices of both sides, in float64: a tenth of the time of orthogonalising the columns.
        """
        grams = gram(self._users, self._threads), gram(self._items, self._threads)
        left, right, values = leading_directions(*grams, most)
        self._dropped += float((values[most:] ** 2).sum())
        self._users = [combined(self._users, left, self._threads)]
        self._items = [combined(self._items, right, self._threads)]
        return values[:most]

    def mean(self, scale: float = 1.0) -> Compressed:
        """The mean of the products, times ``scale``, at the smallest rank that keeps to ``LARGEST_MOVE``.

        Args:
            scale: Standard deviation of the ratings, in rating units; the products are of standardised ratings.
        """
        values = self._compress(self._held * 5 // 4)
        factor = scale / max(1, self._count)
        roots = np.sqrt(values).astype(np.float32)
        users, items = self._users[0] * (np.float32(factor) * roots), self._items[0] / np.maximum(roots, _TINY)
        low, high = 0, len(values)
        while low < high:
            rank = (low + high) // 2
            if _largest_move(users[:, rank:], items[:, rank:]) <= LARGEST_MOVE * scale:
                high = rank
            else:
                low = rank + 1
        rank = max(1, high)
        pairs = len(users) * len(items)
        rms = factor * np.sqrt(((values[rank:] ** 2).sum() + self._dropped) / pairs)
        largest = _largest_move(users[:, rank:], items[:, rank:])
        users, items = np.ascontiguousarray(users[:, :rank]), np.ascontiguousarray(items[:, :rank])
        if self._dropped:
            moves = users[self._rows] @ items[self._columns].T - np.float32(factor) * self._exact
            largest = max(largest, float(np.abs(moves).max()))
        return Compressed(users, items, largest, float(rms))


def _held(n_rows: int) -> int:
    """Columns that are kept of so many users and items."""
    fitting = _MOST_BYTES // (2 * 4 * n_rows)
    return max(_HELD, min(_MOST_HELD, fitting)) if n_rows >= _MANY_ROWS else _HELD


def _largest_move(users: np.ndarray, items: np.ndarray) -> float:
    if not users.shape[1]:
        return 0.0
    users, items = _longest(users), _longest(items)
    return max(
        float(np.abs(users[start : start + 256] @ items.T).max(initial=0)) for start in range(0, len(users), 256)
    )


def _longest(rows: np.ndarray) -> np.ndarray:
    if len(rows) <= _PROBED:
        return rows
    return rows[np.argpartition(np.einsum("nk,nk->n", rows, rows), -_PROBED)[-_PROBED:]]
