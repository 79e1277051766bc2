"""The scoring kernel: a matrix product and a link, with bits that do not depend on the division into shards."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from recobatch.factors import FactorModel

BLOCK_USERS = 64
"""Users whose predictions are made at once. Every block begins at a multiple of it, because a BLAS may round
differently for another shape: predictions do not depend on shard size or thread count."""


@dataclass(frozen=True, eq=False)
class ScoringKernel:
    """A model with its biases folded into its factors, so that a score is one dot product."""

    model: FactorModel
    items: np.ndarray
    """float32, shape ``(n_factors + 2, n_items)``, contiguous: factors, one, item bias + global bias."""
    link: FactorModel
    """The model without its global bias, which is part of ``items``; only its link is used."""

    @classmethod
    def of(cls, model: FactorModel) -> "ScoringKernel":
        """Fold the items' biases of ``model`` into two more factors; the users' biases are folded by block."""
        items = np.empty((model.n_factors + 2, model.n_items), dtype=np.float32)
        items[:-2], items[-2], items[-1] = model.item_factors.T, 1, model.item_bias + np.float32(model.global_bias)
        return cls(model, items, replace(model, global_bias=0.0))

    def predict(self, users: slice) -> np.ndarray:
        """Predict every item for a block of users; call it within ``one_blas_thread``.

        Args:
            users: Range of user indices, within ``[0, n_users)``.

        Returns:
            Predictions in rating units, float32, shape ``(len(users), n_items)``.
        """
        start = users.start - users.start % BLOCK_USERS
        stop = min(self.model.n_users, -(-users.stop // BLOCK_USERS) * BLOCK_USERS)
        folded = self._fold(slice(start, stop))
        predictions = np.empty((stop - start, self.model.n_items), dtype=np.float32)
        # exp(+large) is inf, and 1 / inf the lower end of the sigmoid; non-finite predictions are counted later
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, stop - start, BLOCK_USERS):
                block = predictions[first : first + BLOCK_USERS]
                np.matmul(folded[first : first + BLOCK_USERS], self.items, out=block)
                self.link.apply_link(block)
        return predictions[users.start - start : users.stop - start]

    def predict_parts(self, users: slice, most: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Predict a long range in parts, which end where products end: none is computed twice.

        Args:
            users: As in ``predict``.
            most: Users of a part.

        Yields:
            Consecutive ranges of ``users``, and ``predict`` of each.
        """
        start = users.start
        while start < users.stop:
            end = max((start + most) // BLOCK_USERS, start // BLOCK_USERS + 1) * BLOCK_USERS
            end = min(end, users.stop)
            predictions = self.predict(slice(start, end))
            for first in range(start, end, most):
                part = slice(first, min(first + most, end))
                yield part, predictions[first - start : part.stop - start]
            start = end

    def scores(
        self, users: slice, *, at_once: int | None = None, out: np.ndarray | None = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Raw scores, before the link, a few users at a time; call it within ``one_blas_thread``.

        Args:
            users: Range of user indices, within ``[0, n_users)``.
            at_once: Users of a matrix product, a multiple of ``BLOCK_USERS``: more are faster, and may round
                differently. By default the scores are those behind ``predict``, to the bit.
            out: Where they are computed, float32, shape ``(at_once, n_items)``; by default new memory.

        Yields:
            Consecutive ranges of ``users``, at most ``BLOCK_USERS`` each, and their scores, float32, shape
            ``(len(range), n_items)``: a buffer that a later step overwrites.
        """
        step = at_once or BLOCK_USERS
        start = users.start - users.start % step
        stop = min(self.model.n_users, -(-users.stop // step) * step)
        folded = self._fold(slice(start, stop))
        if out is None:
            out = np.empty((min(step, stop - start), self.model.n_items), dtype=np.float32)
        for first in range(start, stop, step):
            block = out[: min(step, stop - first)]
            with np.errstate(over="ignore", invalid="ignore"):
                np.matmul(folded[first - start : first - start + step], self.items, out=block)
            for low in range(first, min(first + step, users.stop), BLOCK_USERS):
                part = slice(max(low, users.start), min(low + BLOCK_USERS, users.stop))
                if part.start < part.stop:
                    yield part, block[part.start - first : part.stop - first]

    def _fold(self, users: slice) -> np.ndarray:
        """Float32, shape ``(len(users), n_factors + 2)``: factors, bias, one."""
        folded = np.empty((users.stop - users.start, self.model.n_factors + 2), dtype=np.float32)
        folded[:, :-2], folded[:, -2], folded[:, -1] = self.model.user_factors[users], self.model.user_bias[users], 1
        return folded
