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
        size = -(-self.n_rows // _PIECES)
        order = None if self.rng is None else self.rng.permutation(self.n_rows // size)
        for start in range(0, self.n_rows, self.length):
            part = slice(start, min(start + self.length, self.n_rows))
            rows = part if order is None else _permuted(part, order, size)
            chosen = rows if self.rows is None else self.rows[rows]
            yield [_padded(column, chosen, self.length) for column in self.columns], part.stop - part.start

    def nothing(self) -> list[tf.Tensor]:
        """Columns of a part without ratings."""
        return [tf.zeros(self.length, column.dtype) for column in self.columns]


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
    n_rows = len(data) if held is None else len(data) - int(np.count_nonzero(held))
    rows: np.ndarray | None
    if rng is not None and n_rows > _PIECES:
        rows = _rows(len(data), n_rows, held)
        rng.shuffle(rows)
    else:
        rows = None if held is None else _rows(len(data), n_rows, held)
    return EpochData((data.user_index, data.item_index, data.rating), rows, n_rows, length, rng)


def _rows(n_all: int, n_rows: int, held: np.ndarray | None) -> np.ndarray:
    """Those that are not held out, in order; found block by block, since positions of all take 8 bytes each."""
    rows = np.empty(n_rows, dtype=np.int32 if n_all < 1 << 31 else np.int64)
    filled = 0
    for start in range(0, n_all, _MOST_AT_ONCE):
        some = np.arange(start, min(start + _MOST_AT_ONCE, n_all), dtype=rows.dtype)
        if held is not None:
            some = some[~held[start : start + len(some)]]
        rows[filled : filled + len(some)] = some
        filled += len(some)
    return rows


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


def _permuted(part: slice, order: np.ndarray, size: int) -> np.ndarray:
    """A part of the positions where runs of ``size`` neighbours are permuted; the rest, too short for one, stays."""
    in_runs = min(part.stop, len(order) * size)
    first = part.start // size
    runs = order[first : -(-in_runs // size), None] * size + np.arange(size)
    rest = np.arange(max(part.start, in_runs), part.stop)
    return np.concatenate([runs.ravel()[part.start - first * size :][: max(0, in_runs - part.start)], rest])
