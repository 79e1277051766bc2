"""The mean of many low-rank products as one product of small rank, without the matrix of all pairs."""

from dataclasses import dataclass

import numpy as np

LARGEST_MOVE = 0.004
"""Standard deviations of the ratings by which the choice of the rank may move a prediction."""
_HELD = 512
"""Columns that are kept between compressions; those beyond are far below ``LARGEST_MOVE``."""
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
    items, over those with the largest dropped parts."""
    rms_move: float
    """Root mean square of the change over all pairs."""

    @property
    def rank(self) -> int:
        return self.users.shape[1]


class RunningProduct:
    """Sum of products ``P Qᵀ``, compressed as it grows, so that memory does not grow with the number of products."""

    def __init__(self, n_users: int, n_items: int, held: int = _HELD) -> None:
        self._users: list[np.ndarray] = [np.zeros((n_users, 0), dtype=np.float32)]
        self._items: list[np.ndarray] = [np.zeros((n_items, 0), dtype=np.float32)]
        self._held = held
        self._count = 0
        self._dropped = 0.0

    def add(self, users: np.ndarray, items: np.ndarray) -> None:
        """Add ``users @ items.T``: shapes ``(n_users, k)`` and ``(n_items, k)``."""
        self._users.append(users.astype(np.float32))
        self._items.append(items.astype(np.float32))
        self._count += 1
        if sum(part.shape[1] for part in self._users) > 2 * self._held:
            self._compress()

    def _compress(self) -> np.ndarray:
        """Replace the sum by its leading ``_held`` singular directions; returns all singular values."""
        left, left_core = np.linalg.qr(np.hstack(self._users))
        right, right_core = np.linalg.qr(np.hstack(self._items))
        inner_left, values, inner_right = np.linalg.svd(left_core @ right_core.T, full_matrices=False)
        self._dropped += float((values[self._held :].astype(np.float64) ** 2).sum())
        values = values[: self._held]
        self._users = [left @ (inner_left[:, : len(values)] * values)]
        self._items = [right @ inner_right[: len(values)].T]
        return values

    def mean(self, scale: float = 1.0) -> Compressed:
        """The mean of the products, times ``scale``, at the smallest rank that keeps to ``LARGEST_MOVE``.

        Args:
            scale: Standard deviation of the ratings, in rating units; the products are of standardised ratings.
        """
        values = self._compress().astype(np.float64)
        factor = scale / max(1, self._count)
        users, items = self._users[0] * np.float32(factor), self._items[0]
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
        return Compressed(
            np.ascontiguousarray(users[:, :rank]), np.ascontiguousarray(items[:, :rank]),
            _largest_move(users[:, rank:], items[:, rank:]), float(rms),
        )  # fmt: skip


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
