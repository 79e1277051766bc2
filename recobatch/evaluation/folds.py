"""Folds of one set of ratings: rolling windows over time, repeated random splits, k folds. NumPy only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recobatch.errors import BadRatings
from recobatch.interactions import EncodedInteractions, Split

Method = Literal["windows", "repeats", "folds"]
_DAY = 86_400


class FoldOptions(BaseModel):
    """How often, and how, ratings are divided into training and test."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    method: Method | None = None
    """``windows``: train on everything before a window of time, test on the window; ``repeats``: random splits by user;
    ``folds``: every rating is a test rating once. None takes windows where times are known, else folds."""
    number: int = Field(5, ge=1, le=100)
    """Windows, repeats or folds."""
    horizon_days: float | None = Field(None, gt=0)
    """Length of a window; None divides the later half of the ratings into windows of as many ratings."""
    test_fraction: float = Field(0.2, gt=0, lt=1)
    """Share of each user's ratings in the test part of a repeat."""

    def for_ratings(self, ratings: EncodedInteractions) -> Self:
        """The options with the method that suits the ratings, where none is given."""
        if self.method is not None:
            return self
        has_times = len(np.unique(ratings.timestamp)) > 2 * self.number
        return self.model_copy(update={"method": "windows" if has_times else "folds"})

    @property
    def test_share(self) -> float | None:
        """Test ratings over training ratings, where every fold draws from the same ratings; None for windows."""
        if self.method == "repeats":
            return self.test_fraction / (1 - self.test_fraction)
        return 1 / max(1, self.number - 1) if self.method == "folds" else None


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of the ratings."""

    name: str
    """Unique among the folds, such as ``window-1``."""
    train_rows: np.ndarray
    """Rows of the training ratings, ascending, shape ``(n,)``."""
    test_rows: np.ndarray
    """Rows of the test ratings, ascending."""
    since: int | None = None
    """Unix seconds of the first test rating of a window."""
    until: int | None = None
    """Unix seconds of the last one."""

    def split(self, ratings: EncodedInteractions) -> Split:
        """The two parts; rows that are in neither are left out."""
        return Split(ratings.take(self.train_rows), ratings.take(self.test_rows))


def make_folds(ratings: EncodedInteractions, options: FoldOptions, *, seed: int) -> list[Fold]:
    """Divide ratings several times.

    Args:
        ratings: In file order.
        options: How, and how often.
        seed: Of everything random; the same one gives the same folds.

    Raises:
        BadRatings: If a part of a fold would be empty, or windows are asked for and times are unknown.
    """
    method = options.for_ratings(ratings).method
    if method == "windows":
        folds = list(_windows(ratings, options))
    elif method == "repeats":
        folds = list(_repeats(ratings, options, seed))
    else:
        folds = list(_k_folds(ratings, options, seed))
    for fold in folds:
        if not len(fold.train_rows) or not len(fold.test_rows):
            raise BadRatings(
                f"{fold.name}: found {len(fold.train_rows):,} training and {len(fold.test_rows):,} test ratings of "
                f"{len(ratings):,}, expected at least one of each; give more ratings, or fewer {method}"
            )
    return folds


def _windows(ratings: EncodedInteractions, options: FoldOptions) -> Iterator[Fold]:
    times = ratings.timestamp  # unknown ones are -1, before all others
    known = np.sort(times[times >= 0])
    if len(np.unique(known)) <= options.number:
        raise BadRatings(
            f"windows: found {len(np.unique(known)):,} different times among {len(ratings):,} ratings, expected more "
            f"than {options.number} to order them by; pass --time-column, or use --folds or --repeats"
        )
    newest = int(known[-1])
    if options.horizon_days is not None:
        length = options.horizon_days * _DAY
        borders = newest + 1 - length * np.arange(options.number, -1, -1)
    else:
        half = len(known) // 2
        places = half + (len(known) - half) * np.arange(options.number) // options.number
        borders = np.append(known[places], newest + 1)
    for number, (first, end) in enumerate(pairwise(borders), 1):
        inside = np.flatnonzero((times >= first) & (times < end))
        seen = times[inside]
        since, until = (int(seen.min()), int(seen.max())) if len(inside) else (None, None)
        yield Fold(f"window-{number}", np.flatnonzero(times < first), inside, since, until)


def _repeats(ratings: EncodedInteractions, options: FoldOptions, seed: int) -> Iterator[Fold]:
    for number in range(options.number):
        rank, size = _shuffled_ranks(ratings, np.random.default_rng([seed, number]))
        kept = np.maximum(np.round(size * (1 - options.test_fraction)), 1)
        is_test = rank >= kept
        yield Fold(f"repeat-{number + 1}", np.flatnonzero(~is_test), np.flatnonzero(is_test))


def _k_folds(ratings: EncodedInteractions, options: FoldOptions, seed: int) -> Iterator[Fold]:
    """Each user's ratings are spread evenly over the folds, beginning with another fold for every user."""
    rng = np.random.default_rng(seed)
    rank, _ = _shuffled_ranks(ratings, rng)
    place = (rank + rng.integers(options.number, size=ratings.n_users)[ratings.user_index]) % options.number
    for number in range(options.number):
        yield Fold(f"fold-{number + 1}", np.flatnonzero(place != number), np.flatnonzero(place == number))


def _shuffled_ranks(ratings: EncodedInteractions, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rank of each rating among its user's in a random order, and how many the user has: int64, shape ``(n,)``."""
    shuffled = rng.permutation(len(ratings))
    order = shuffled[np.argsort(ratings.user_index[shuffled], kind="stable")]
    size = ratings.user_counts()
    rank = np.empty(len(ratings), dtype=np.int64)
    rank[order] = np.arange(len(ratings)) - np.repeat(np.cumsum(size) - size, size)
    return rank, size[ratings.user_index]


def as_day(seconds: int | None) -> str | None:
    """Unix seconds as a day, ``2026-11-24``."""
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
