"""Ratings in the order in which an epoch sees them, padded to a length that compiled code is shared for."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from recobatch.interactions import EncodedInteractions

_PIECES = 1 << 20


@dataclass(frozen=True, eq=False)
class EpochData:
    """Columns of ratings that can be dealt in a new order for every epoch."""

    columns: tuple[np.ndarray, ...]
    """User index, item index and rating, shape ``(length,)`` each; zeros beyond ``n_rows``."""
    n_rows: int
    rng: np.random.Generator | None
    """Where new orders come from; None keeps the order of the file."""

    def shuffle(self) -> list[tf.Tensor]:
        """The columns in the next epoch's order.

        Up to a million pieces change places: single ratings in small data, runs of neighbours (in an order that was
        drawn once) in large data, where a full shuffle would cost as much as the epoch itself.
        """
        if self.rng is None:
            return [tf.convert_to_tensor(column) for column in self.columns]
        size = -(-self.n_rows // _PIECES)
        order = self.rng.permutation(self.n_rows // size)
        return [tf.convert_to_tensor(_reorder(column, order, size)) for column in self.columns]


def stack(data: EncodedInteractions, *, length: int, rng: np.random.Generator | None) -> EpochData:
    """Copy ratings into a epoch_data of at least ``len(data)`` rows, shuffled once if there is a generator."""
    order = None if rng is None or len(data) <= _PIECES else rng.permutation(len(data))
    columns = (data.user_index, data.item_index, data.rating)
    return EpochData(tuple(_pad(column, order, length) for column in columns), len(data), rng)


def padded_length(n_rows: int, batch_size: int) -> int:
    """Round up to whole mini-batches, at most an eighth more than needed, so that few lengths are ever compiled."""
    n_steps = -(-n_rows // batch_size)
    grain = 1 << max(0, n_steps.bit_length() - 4)
    return -(-n_steps // grain) * grain * batch_size


def _pad(column: np.ndarray, order: np.ndarray | None, length: int) -> np.ndarray:
    out = np.zeros(length, dtype=column.dtype)
    if order is None:
        out[: len(column)] = column
    else:
        np.take(column, order, out=out[: len(order)], mode="clip")
    return out


def _reorder(column: np.ndarray, order: np.ndarray, size: int) -> np.ndarray:
    """Move runs of ``size`` neighbours; what does not fill a run stays at the end."""
    moved, out = len(order) * size, np.empty_like(column)
    np.take(column[:moved].reshape(-1, size), order, axis=0, out=out[:moved].reshape(-1, size), mode="clip")
    out[moved:] = column[moved:]
    return out
