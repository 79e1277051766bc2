"""Ratings in the order of an epoch, in parts that are padded so that data of similar size share compiled code."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from recobatch.interactions import EncodedInteractions

_PIECES = 1 << 20
_MOST_AT_ONCE = 1 << 22
"""Most rows of a part: 50 MB. No more are copied at once, however many ratings there are."""


@dataclass(frozen=True, eq=False)
class EpochData:
    """Ratings to train on, of which every epoch takes each once, in an order of its own."""

    columns: tuple[np.ndarray, ...]
    """User index, item index and rating of all ratings, those that are held out among them: no copies."""
    rows: np.ndarray | None
    """Rows of the columns to train on, int32 or int64, in the order in which they are taken; None for all in order."""
    n_rows: int
    """Ratings to train on."""
    length: int
    """Rows of every part, padded with zeros: whole mini-batches."""
    rng: np.random.Generator | None
    """Source of the orders; None keeps the order of the file."""

    def parts(self) -> Iterator[tuple[list[tf.Tensor], int]]:
        """The next epoch: columns of shape ``(length,)`` each, and how many of their rows are ratings.

        At most 2²⁰ pieces are permuted: single ratings in small data; in large data runs of neighbours, in an order
        drawn once, because a full shuffle would take as long as the epoch itself.
        """
        rows = self._next_order()
        for start in range(0, self.n_rows, self.length):
            part = slice(start, min(start + self.length, self.n_rows)) if rows is None else rows[start:][: self.length]
            columns = [_padded(column, part, self.length) for column in self.columns]
            yield columns, min(self.length, self.n_rows - start)

    def nothing(self) -> list[tf.Tensor]:
        """Columns of a part without ratings."""
        return [tf.zeros(self.length, column.dtype) for column in self.columns]

    def _next_order(self) -> np.ndarray | None:
        if self.rng is None:
            return self.rows
        size = -(-self.n_rows // _PIECES)
        order = self.rng.permutation(self.n_rows // size)
        return order if self.rows is None else _reorder(self.rows, order, size)


def build_epoch_data(
    data: EncodedInteractions, *, length: int, rng: np.random.Generator | None, held: np.ndarray | None = None
) -> EpochData:
    """Plan the epochs over ratings.

    Args:
        data: Ratings; the plan refers to them.
        length: Of a part, as ``part_length`` gives it.
        rng: Source of the orders; None keeps the order of the file.
        held: Rows that are held out from training: bool, shape ``(len(data),)``; None for none.
    """
    kind = np.int32 if len(data) < 1 << 31 else np.int64
    rows = None if held is None else np.flatnonzero(~held).astype(kind, copy=False)
    n_rows = len(data) if rows is None else len(rows)
    if rng is not None and n_rows > _PIECES:
        rows = rng.permutation(np.arange(n_rows, dtype=kind) if rows is None else rows)
    return EpochData((data.user_index, data.item_index, data.rating), rows, n_rows, length, rng)


def part_length(n_rows: int, batch_size: int) -> int:
    """Rows of a part of so many ratings: whole mini-batches, of which few numbers occur, at most 2²² rows or one."""
    return min(padded_length(n_rows, batch_size), max(1, _MOST_AT_ONCE // batch_size) * batch_size)


def padded_length(n_rows: int, batch_size: int) -> int:
    """Round up to whole mini-batches, by at most an eighth, so that few lengths are compiled."""
    n_steps = -(-n_rows // batch_size)
    grain = 1 << max(0, n_steps.bit_length() - 4)
    return -(-n_steps // grain) * grain * batch_size


def _padded(column: np.ndarray, rows: np.ndarray | slice, length: int) -> tf.Tensor:
    out = np.zeros(length, dtype=column.dtype)
    if isinstance(rows, slice):
        out[: rows.stop - rows.start] = column[rows]
    else:
        np.take(column, rows, out=out[: len(rows)], mode="clip")
    return tf.convert_to_tensor(out)


def _reorder(rows: np.ndarray, order: np.ndarray, size: int) -> np.ndarray:
    """Permute runs of ``size`` neighbours; the rest, too short for a run, stays at the end."""
    moved, out = len(order) * size, np.empty_like(rows)
    np.take(rows[:moved].reshape(-1, size), order, axis=0, out=out[:moved].reshape(-1, size), mode="clip")
    out[moved:] = rows[moved:]
    return out
