"""The relevant test rows, which lists are compared with. NumPy."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recobatch.interactions import EncodedInteractions


@dataclass(frozen=True, eq=False)
class RelevantItems:
    """The relevant rows of a test part; what several comparisons need is computed once."""

    rows: EncodedInteractions

    @classmethod
    def of(cls, test: EncodedInteractions, relevant: float) -> "RelevantItems":
        """The rows with a rating of at least ``relevant``."""
        return cls(test.take(test.rating >= relevant))

    @cached_property
    def users(self) -> np.ndarray:
        """Users with a relevant row, ascending: int64, shape ``(n_measured,)``."""
        return np.flatnonzero(self._user_counts)

    @cached_property
    def n_relevant(self) -> np.ndarray:
        """Relevant rows of each of ``users``: int64, shape ``(n_measured,)``."""
        return self._user_counts[self.users]

    @cached_property
    def _user_counts(self) -> np.ndarray:
        return self.rows.user_counts()

    @cached_property
    def _pairs(self) -> np.ndarray:
        pairs = self.rows.user_index.astype(np.int64) * self.rows.n_items + self.rows.item_index
        pairs.sort()
        return pairs

    def hits(self, lists: np.ndarray) -> np.ndarray:
        """Whether the item at each rank is relevant to each of ``users``: bool, shape ``(n_measured, k)``.

        Args:
            lists: Item indices of all users, integers, shape ``(n_users, k)``, best first; -1 after the last.
        """
        shown = lists[self.users]
        pairs = self.users[:, None] * np.int64(self.rows.n_items) + shown
        places = np.minimum(np.searchsorted(self._pairs, pairs), len(self._pairs) - 1)
        return (self._pairs[places] == pairs) & (shown >= 0)

    def metrics(self, hits: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics of each of ``users``, by the field of ``Rankings``.

        Args:
            hits: As ``hits`` returned them.
        """
        ranks = np.arange(1, hits.shape[1] + 1)
        discounts = 1 / np.log2(1 + ranks)
        ideal = np.cumsum(discounts)[np.minimum(self.n_relevant, hits.shape[1]) - 1]
        precision = np.cumsum(hits, axis=1) / ranks
        return {
            "ndcg": hits @ discounts / ideal, "recall": hits.sum(axis=1) / self.n_relevant,
            "map": (precision * hits).sum(axis=1) / self.n_relevant, "hit_rate": hits.any(axis=1).astype(np.float64),
        }  # fmt: skip

    def ndcg(self, lists: np.ndarray) -> np.ndarray:
        """NDCG of each of ``users``; the lists as in ``hits``."""
        return self.metrics(self.hits(lists))["ndcg"]
