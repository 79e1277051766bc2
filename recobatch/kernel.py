"""The scoring kernel: a matrix product and a link, the same bits whichever way the users are cut into shards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from threading import Lock

import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from recobatch.factors import FactorModel

BLOCK_USERS = 8
"""Users in one matrix product. Every product covers users ``[8 n, 8 n + 8)``, never another range: a BLAS may round
differently for another shape, and this is what keeps predictions independent of shard size and thread count."""


@dataclass(frozen=True, eq=False)
class ScoringKernel:
    """A model with its biases folded into its factors, so that a score is one dot product."""

    model: FactorModel
    items: np.ndarray
    """float32, shape ``(n_factors + 2, n_items)``, contiguous: factors, one, item bias + global bias."""
    link: FactorModel
    """The model without its global bias, which ``items`` holds: only its link is used."""

    @classmethod
    def of(cls, model: FactorModel) -> "ScoringKernel":
        """Fold the items' biases of ``model`` into two more factors; those of the users follow block by block."""
        items = np.empty((model.n_factors + 2, model.n_items), dtype=np.float32)
        items[:-2], items[-2], items[-1] = model.item_factors.T, 1, model.item_bias + np.float32(model.global_bias)
        return cls(model, items, replace(model, global_bias=0.0))

    def predict(self, users: slice) -> np.ndarray:
        """Predict a block of users for every item; call it within ``one_blas_thread``.

        Args:
            users: Range of user indices, within ``[0, n_users)``.

        Returns:
            Predictions in rating units, float32, shape ``(len(users), n_items)``.
        """
        start = users.start - users.start % BLOCK_USERS
        stop = min(self.model.n_users, -(-users.stop // BLOCK_USERS) * BLOCK_USERS)
        folded = self._fold(slice(start, stop))
        predictions = np.empty((stop - start, self.model.n_items), dtype=np.float32)
        with np.errstate(over="ignore"):  # exp(+large) is inf, and 1 / inf the lower end of the sigmoid
            for first in range(0, stop - start, BLOCK_USERS):
                block = predictions[first : first + BLOCK_USERS]
                np.matmul(folded[first : first + BLOCK_USERS], self.items, out=block)
                self.link.apply_link(block)  # while the block is still in the cache
        return predictions[users.start - start : users.stop - start]

    def _fold(self, users: slice) -> np.ndarray:
        """Float32, shape ``(len(users), n_factors + 2)``: factors, bias, one."""
        folded = np.empty((users.stop - users.start, self.model.n_factors + 2), dtype=np.float32)
        folded[:, :-2], folded[:, -2], folded[:, -1] = self.model.user_factors[users], self.model.user_bias[users], 1
        return folded


_blas_lock = Lock()
_blas_users = 0
_blas_restore: object = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to the calling thread: shards are the parallelism, and one thread rounds the same way every time.

    The limit belongs to the whole process, so it is counted: the first to enter sets it, the last to leave restores it.
    """
    global _blas_users, _blas_restore
    with _blas_lock:
        if _blas_users == 0:
            _blas_restore = _blas().limit(limits=1, user_api="blas")
        _blas_users += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                _blas_restore.restore_original_limits()  # type: ignore[attr-defined]


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # looks through every loaded library: once is enough, NumPy's is there already
