"""Ratings in the order of an epoch, padded so that data of similar size share compiled code."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from recobatch.interactions import EncodedInteractions

_PIECES = 1 << 20


@dataclass(frozen=True, eq=False)
class EpochData:
    """Columns of ratings, shuffled for every epoch."""

    columns: tuple[np.ndarray, ...]
    """User index, item index and rating, shape ``(length,)`` each; zeros beyond ``n_rows``."""
    n_rows: int
    rng: np.random.Generator | None
    """Source of the orders; None keeps the order of the file."""

    def shuffle(self) -> list[tf.Tensor]:
        """The columns in the next epoch's order.

        At most 2²⁰ pieces are permuted: single ratings in small data; in large data runs of neighbours, in an order
        drawn once, because a full shuffle would take as long as the epoch itself.
        """
        if self.rng is None:
            return [tf.convert_to_tensor(column) for column in self.columns]
        size = -(-self.n_rows // _PIECES)
        order = self.rng.permutation(self.n_rows // size)
        return [tf.convert_to_tensor(_reorder(column, order, size)) for column in self.columns]


def build_epoch_data(data: EncodedInteractions, *, length: int, rng: np.random.Generator | None) -> EpochData:
    """Copy ratings into columns of ``length`` rows; large data are shuffled once if there is a generator."""
    order = None if rng is None or len(data) <= _PIECES else rng.permutation(len(data))
    columns = (data.user_index, data.item_index, data.rating)
    return EpochData(tuple(_pad(column, order, length) for column in columns), len(data), rng)


def padded_length(n_rows: int, batch_size: int) -> int:
    """Round up to whole mini-batches, by at most an eighth, so that few lengths are compiled."""
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
    """Permute runs of ``size`` neighbours; the rest, too short for a run, stays at the end."""
    moved, out = len(order) * size, np.empty_like(column)
    np.take(column[:moved].reshape(-1, size), order, axis=0, out=out[:moved].reshape(-1, size), mode="clip")
    out[moved:] = column[moved:]
    return out
