"""Training, validation and test ratings: stratified, chronological or random; by user, by item or over all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, field_validator

from recobatch.errors import BadRatings
from recobatch.file_order import FileOrder, find_order
from recobatch.interactions import EncodedInteractions, InteractionsWriter, Split, read_columns

_ROWS_AT_ONCE = 1 << 24
"""Rows that are sorted at once, unless one group has more: some 0.7 GB."""


class SplitOptions(BaseModel):
    """How ratings are divided into training, validation and test."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    method: Literal["auto", "stratified", "chronological", "random"] = "auto"
    """Order of the ratings before they are divided, the first part for training: file order (``stratified``), time
    (unknown times first), or a seeded shuffle. ``auto`` is file order, unless the file is sorted by item id, rating or
    title within most users: then time where it is known, else the shuffle. Groups other than users keep file order."""
    by: Literal["user", "item", "all"] = "user"
    """Group to which the ratios apply: each user, each item, or all ratings."""
    ratios: tuple[float, ...] = (0.8, 0.2)
    """Shares for training and test, or for training, validation and test; they add up to 1."""
    seed: int = Field(default=0, ge=0)
    """Seed of the shuffle; unused by the other methods."""

    @field_validator("ratios")
    @classmethod
    def _make_a_whole(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        if len(ratios) not in (2, 3) or min(ratios) <= 0 or abs(sum(ratios) - 1) > 1e-9:
            shown = ", ".join(f"{ratio:g}" for ratio in ratios)
            raise ValueError(f"found ratios ({shown}), expected two or three positive numbers that add up to 1")
        return ratios

    def resolved(self, order: FileOrder) -> Self:
        """The options with the method that ``auto`` means for a file."""
        if self.method != "auto":
            return self
        return self.model_copy(update={"method": order.method if self.by == "user" else "stratified"})


def split(interactions: EncodedInteractions, options: SplitOptions) -> Split:
    """Divide ratings into disjoint parts, each in file order.

    Of a group's n ratings the first ``round(n · ratio)``, at least one, are for training (halves to even, as in Python
    and the notebook's StratifiedSplit); with three ratios the validation part ends at ``round(n · (first + second))``.

    Args:
        interactions: Ratings in file order.
        options: Method, groups and ratios.

    Raises:
        BadRatings: If a part would be empty.
    """
    options = options.resolved(find_order([interactions])) if options.method == "auto" else options
    groups = {"user": interactions.user_index, "item": interactions.item_index}.get(options.by)
    part = _part_numbers(len(interactions), groups, interactions.timestamp, options)
    parts = [np.flatnonzero(part == number) for number in range(len(options.ratios))]
    _require_all(np.array([len(rows) for rows in parts]), interactions.n_users, interactions.n_items, options)
    train, *others = (interactions.take(rows) for rows in parts)
    return Split(train, others[-1], others[0] if len(others) > 1 else None)


def split_file(path: Path, options: SplitOptions, out: Path) -> None:
    """As ``split``, from a file to the files of ``Split.save``; memory holds five bytes a rating and one row group.

    Args:
        path: Written by ``EncodedInteractions.save``.
        options: Method, groups and ratios.
        out: Existing folder.

    Raises:
        BadRatings: If a part would be empty.
    """
    options = options.resolved(find_order(EncodedInteractions.blocks(path))) if options.method == "auto" else options
    with pq.ParquetFile(path) as file:
        n_rows, sizes = file.metadata.num_rows, file.schema_arrow.metadata
        names = [name for name in (f"{options.by}_index",) if options.by != "all"]
        names += ["timestamp"] if options.method == "chronological" else []
        needed = read_columns(file, names)
    part = _part_numbers(n_rows, needed.get(f"{options.by}_index"), needed.get("timestamp"), options)
    del needed
    n_users, n_items = int(sizes[b"n_users"]), int(sizes[b"n_items"])
    counts = np.bincount(part, minlength=len(options.ratios))
    _require_all(counts, n_users, n_items, options)
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(InteractionsWriter(out / f"{name}.parquet", n_users, n_items))
            for name in _names(options)
        ]
        start = 0
        for block in EncodedInteractions.blocks(path):
            numbers = part[start : start + len(block)]
            start += len(block)
            for number, writer in enumerate(writers):
                writer.write(block.take(numbers == number))


def _part_numbers(
    n_rows: int, groups: np.ndarray | None, timestamp: np.ndarray | None, options: SplitOptions
) -> np.ndarray:
    """Number of the part of each row: int8, shape ``(n,)``. Sorts a range of groups at a time, to bound memory."""
    part = np.zeros(n_rows, dtype=np.int8)
    cuts = np.round(np.cumsum(options.ratios[:-1]), 12)  # 0.7 + 0.1 is a hair below 0.8
    if groups is None:
        groups = np.zeros(n_rows, dtype=np.int8)
    size, place = np.bincount(groups), _places(n_rows, timestamp, options)
    for low, high in _ranges(size):
        rows = np.flatnonzero((groups >= low) & (groups < high))
        if place is not None:
            rows = rows[_stable_order(place[rows])]
        rows = rows[_stable_order(groups[rows])]
        sizes = size[low:high]
        rank = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        for cut in cuts:
            kept = np.maximum(np.round(sizes * cut).astype(np.int64), 1)
            part[rows] += rank >= np.repeat(kept, sizes)
    return part


def _places(n_rows: int, timestamp: np.ndarray | None, options: SplitOptions) -> np.ndarray | None:
    """A number for each row, ascending in the order of the method, shape ``(n,)``; None for the order of the file."""
    if options.method == "chronological":
        return timestamp
    if options.method != "random":
        return None
    shuffled = np.random.default_rng(options.seed).permutation(n_rows)
    place = np.empty(len(shuffled), np.int32 if len(shuffled) < 2**31 else np.int64)
    place[shuffled] = np.arange(len(shuffled), dtype=place.dtype)
    return place


def _ranges(size: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of groups with at most ``_ROWS_AT_ONCE`` rows each, or one group."""
    ends, low = np.cumsum(size), 0
    while low < len(size):
        before = ends[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(ends, before + _ROWS_AT_ONCE, side="right")))
        yield low, high
        low = high


def _stable_order(key: np.ndarray) -> np.ndarray:
    """As ``np.argsort(key, kind="stable")``; ten times faster where key and row number fit in one integer."""
    n_rows = len(key)
    if not n_rows or int(key.max()) - int(key.min()) >= 2**31 or n_rows >= 2**32:
        return np.argsort(key, kind="stable")
    packed = (key.astype(np.int64) - int(key.min())) << 32
    packed |= np.arange(n_rows)
    packed.sort()
    return packed & 0xFFFF_FFFF


def _names(options: SplitOptions) -> tuple[str, ...]:
    return ("train", "test") if len(options.ratios) == 2 else ("train", "validation", "test")


def _require_all(counts: np.ndarray, n_users: int, n_items: int, options: SplitOptions) -> None:
    empty = [name for name, count in zip(_names(options), counts, strict=True) if not count]
    if empty:
        raise BadRatings(
            f"split: found {counts.sum():,} ratings by {n_users:,} users of {n_items:,} items, too few for the "
            f"{' and the '.join(empty)} part, expected at least one rating in each; give more ratings, or pass "
            f"--set split.by=all --set split.method=random"
        )
