"""Training, validation and test ratings: stratified, chronological or random; by user, by item or over all."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, field_validator

from recobatch.errors import BadRatings
from recobatch.interactions import EncodedInteractions, Split


class SplitOptions(BaseModel):
    """How ratings are divided into training, validation and test."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    method: Literal["stratified", "chronological", "random"] = "stratified"
    """Order of the ratings before they are divided, the first part for training: file order, time (unknown times
    first), or a seeded shuffle."""
    by: Literal["user", "item", "all"] = "user"
    """Group to which the ratios apply: each user, each item, or all ratings."""
    ratios: tuple[float, ...] = (0.8, 0.2)
    """Shares for training and test, or for training, validation and test; they add up to 1."""
    seed: int = 0
    """Seed of the shuffle; unused by the other methods."""

    @field_validator("ratios")
    @classmethod
    def _make_a_whole(cls, ratios: tuple[float, ...]) -> tuple[float, ...]:
        if len(ratios) not in (2, 3) or min(ratios) <= 0 or abs(sum(ratios) - 1) > 1e-9:
            shown = ", ".join(f"{ratio:g}" for ratio in ratios)
            raise ValueError(f"found ratios ({shown}), expected two or three positive numbers that add up to 1")
        return ratios


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
    order, group, rank, size = _ranked(interactions, options)
    part = np.zeros(len(interactions), dtype=np.int8)
    cuts = np.round(np.cumsum(options.ratios[:-1]), 12)  # 0.7 + 0.1 is a hair below 0.8
    for cut in cuts:
        kept = np.maximum(np.round(size * cut).astype(np.int64), 1)
        part[order] += rank >= kept[group]
    parts = [np.flatnonzero(part == number) for number in range(len(options.ratios))]
    _require_all(parts, interactions, options)
    train, *others = (interactions.take(rows) for rows in parts)
    return Split(train, others[-1], others[0] if len(others) > 1 else None)


def _ranked(
    interactions: EncodedInteractions, options: SplitOptions
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sort rows by group, then by the order of the method.

    Returns:
        ``(order, group, rank, size)``: row numbers, the group of each and its rank within the group, all of shape
        ``(n,)``; and the size of each group.
    """
    n_ratings = len(interactions)
    first = np.arange(n_ratings)
    if options.method == "chronological":
        first = _stable_order(interactions.timestamp)
    elif options.method == "random":
        first = np.random.default_rng(options.seed).permutation(n_ratings)
    groups = {"user": interactions.user_index, "item": interactions.item_index}.get(options.by)
    if groups is None:
        groups = np.zeros(n_ratings, dtype=np.int32)
    order = first[_stable_order(groups[first])]
    size = np.bincount(groups)
    start = np.cumsum(size) - size
    group = groups[order]
    return order, group, np.arange(n_ratings) - start[group], size


def _stable_order(key: np.ndarray) -> np.ndarray:
    """As ``np.argsort(key, kind="stable")``; ten times faster where key and row number fit in one integer."""
    n_rows = len(key)
    if not n_rows or int(key.max()) - int(key.min()) >= 2**31 or n_rows >= 2**32:
        return np.argsort(key, kind="stable")
    packed = (key.astype(np.int64) - int(key.min())) << 32
    packed |= np.arange(n_rows)
    packed.sort()
    return packed & 0xFFFF_FFFF


def _require_all(parts: list[np.ndarray], interactions: EncodedInteractions, options: SplitOptions) -> None:
    names = ("train", "test") if len(parts) == 2 else ("train", "validation", "test")
    empty = [name for name, rows in zip(names, parts, strict=True) if not len(rows)]
    if empty:
        raise BadRatings(
            f"split: found {len(interactions):,} ratings by {interactions.n_users:,} users of "
            f"{interactions.n_items:,} items, too few for the {' and the '.join(empty)} part, expected at least one "
            f"rating in each; give more ratings, or pass --set split.by=all --set split.method=random"
        )
