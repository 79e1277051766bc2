"""Long-tailed pairs, rated by a low-rank truth with noise."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NotRequired, Self, TypedDict, Unpack

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from recobatch.errors import BadSettings
from recobatch.interactions import RAW_COLUMNS
from recobatch.sources.synthetic.pairs import draw_pairs
from recobatch.storage.durable import explained

_FIRST_TIME, _LAST_TIME = 789_652_009, 1_574_327_703
"""Of MovieLens 25M."""
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Truth:
    """The model behind the ratings; user id u has index u - 1, and items likewise."""

    user_factors: np.ndarray
    """float32, shape ``(n_users, n_factors)``."""
    item_factors: np.ndarray
    """float32, shape ``(n_items, n_factors)``."""
    user_bias: np.ndarray
    """float32, shape ``(n_users,)``."""
    item_bias: np.ndarray
    """float32, shape ``(n_items,)``."""
    global_bias: float
    min_rating: float
    max_rating: float
    noise: float
    """Standard deviation of the noise added before rounding: a lower bound of any model's error."""

    def rating(self, user_index: np.ndarray, item_index: np.ndarray) -> np.ndarray:
        """Noise-free, unrounded ratings of pairs, clipped to the range: float32, shape ``(n,)``."""
        rating = np.einsum("nk,nk->n", self.user_factors[user_index], self.item_factors[item_index])
        rating += self.user_bias[user_index]
        rating += self.item_bias[item_index]
        rating += np.float32(self.global_bias)
        return np.clip(rating, np.float32(self.min_rating), np.float32(self.max_rating), out=rating)

    def save(self, path: Path) -> None:
        """Write an ``.npz`` of plain arrays."""
        with path.open("wb") as file:
            np.savez(
                file, allow_pickle=False, **{each.name: np.asarray(getattr(self, each.name)) for each in fields(self)}
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Inverse of ``save``."""
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        return cls(
            arrays["user_factors"], arrays["item_factors"], arrays["user_bias"], arrays["item_bias"],
            *(float(arrays[name]) for name in ("global_bias", "min_rating", "max_rating", "noise")),
        )  # fmt: skip


class Shape(TypedDict):
    """Size and parameters of synthetic ratings."""

    n_users: int
    """Users; their ids are 1 to ``n_users``."""
    n_items: int
    """Items; their ids are 1 to ``n_items``."""
    n_ratings: int
    """Ratings, at most ``n_users * n_items``."""
    seed: int
    """The same seed gives the same ratings."""
    n_factors: NotRequired[int]
    """Rank of the truth, beside the biases; 8."""
    noise: NotRequired[float]
    """Standard deviation of the noise on each rating; 0.7."""
    rating_range: NotRequired[tuple[float, float]]
    """Lowest and highest rating; 0.5 and 5."""
    step: NotRequired[float | None]
    """Ratings are rounded to multiples of this; None leaves them real-valued; 0.5."""


def synthesize(**shape: Unpack[Shape]) -> tuple[pa.Table, Truth]:
    """Generate ratings of distinct pairs in the order of their times.

    Activity and popularity follow log-normal laws, the more uneven the more items there are, as in MovieLens 100k, 10M
    and 25M. Every user and every item occurs if ``n_ratings`` allows.

    Args:
        **shape: See ``Shape``.

    Returns:
        A table with ``RAW_COLUMNS``, and its truth.

    Raises:
        BadSettings: If there are fewer pairs than ratings, or a size is not positive.
    """
    n_users, n_items, n_ratings = shape["n_users"], shape["n_items"], shape["n_ratings"]
    if min(n_users, n_items, n_ratings) < 1 or n_ratings > n_users * n_items:
        raise BadSettings(
            f"synthetic ratings: found {n_ratings:,} ratings for {n_users:,} users and {n_items:,} items, expected "
            f"positive sizes and at most {max(n_users, 0) * max(n_items, 0):,} ratings; ask for fewer ratings"
        )
    rng = np.random.default_rng(shape["seed"])
    truth = _truth(rng, shape)
    pairs = draw_pairs(rng, n_users, n_items, n_ratings)
    rng.shuffle(pairs)
    user_index, item_index = _halves(pairs, n_items)
    rating = _observed(rng, truth, user_index, item_index, shape.get("step", 0.5))
    timestamp = _FIRST_TIME + np.arange(n_ratings) * (_LAST_TIME - _FIRST_TIME) // n_ratings
    columns = (user_index.astype(np.int64) + 1, item_index.astype(np.int64) + 1, rating, timestamp)
    return pa.table(dict(zip(RAW_COLUMNS, columns, strict=True))), truth


def write_synthetic(path: Path, **shape: Unpack[Shape]) -> Path:
    """Write the ratings of ``synthesize``, and their truth as ``<stem>.truth.npz``.

    Args:
        path: ``.parquet``, or ``.csv``, possibly followed by ``.gz``, ``.bz2``, ``.zst`` or ``.lz4``.
        **shape: See ``Shape``.

    Returns:
        Path of the truth.

    Raises:
        BadSettings: If the suffix is another one, or as ``synthesize``.
        RecobatchError: If the disk refuses the file.
    """
    stem, kind, packing = _split_name(path)
    table, truth = synthesize(**shape)
    truth_path = path.with_name(f"{stem}.truth.npz")
    with explained("write the ratings", path, outcome="nothing was written"), _staged(path) as staged:
        if kind == "parquet":
            pq.write_table(table, staged, compression="zstd", compression_level=1)
        else:
            with pa.output_stream(str(staged), compression=packing) as stream:
                pa.csv.write_csv(table, stream, pa.csv.WriteOptions(quoting_style="none"))
        truth.save(truth_path)
    return truth_path


@contextmanager
def _staged(path: Path) -> Iterator[Path]:
    """A path beside ``path`` for its content, which gets its name when it is whole."""
    staged = path.with_name(f".{path.name}.tmp")
    try:
        yield staged
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


_PACKINGS = {"": None, ".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}


def _split_name(path: Path) -> tuple[str, str, str | None]:
    """Stem, ``csv`` or ``parquet``, and compression of a file name."""
    match = re.fullmatch(r"(.+?)\.(?:(parquet)|(csv)(\.gz|\.bz2|\.zst|\.lz4)?)", path.name)
    if match is None:
        raise BadSettings(
            f"{path}: found the suffix {''.join(path.suffixes)!r}, expected .parquet or .csv, or .csv with one of "
            f"{', '.join(filter(None, _PACKINGS))} after it; rename the file"
        )
    return match[1], match[2] or match[3], _PACKINGS[match[4] or ""]


def _truth(rng: np.random.Generator, shape: Shape) -> Truth:
    """Biases and factors spread as MovieLens' are (in parts of the range): 0.1 each for both biases and the product."""
    low, high = shape.get("rating_range", (0.5, 5.0))
    n_users, n_items, n_factors = shape["n_users"], shape["n_items"], shape.get("n_factors", 8)
    spread = 0.1 * (high - low)
    scale = np.sqrt(spread / np.sqrt(n_factors))
    return Truth(
        user_factors=(scale * rng.standard_normal((n_users, n_factors))).astype(np.float32),
        item_factors=(scale * rng.standard_normal((n_items, n_factors))).astype(np.float32),
        user_bias=(spread * rng.standard_normal(n_users)).astype(np.float32),
        item_bias=(spread * rng.standard_normal(n_items)).astype(np.float32),
        global_bias=low + 0.67 * (high - low), min_rating=low, max_rating=high, noise=shape.get("noise", 0.7),
    )  # fmt: skip


def _halves(pairs: np.ndarray, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    user_index = pairs // n_items
    return user_index.astype(np.int32), (pairs - user_index * n_items).astype(np.int32)


def _observed(
    rng: np.random.Generator, truth: Truth, user_index: np.ndarray, item_index: np.ndarray, step: float | None
) -> np.ndarray:
    rating = np.empty(len(user_index), dtype=np.float32)
    for start in range(0, len(rating), _CHUNK):
        rows = slice(start, start + _CHUNK)
        chunk = truth.rating(user_index[rows], item_index[rows])
        chunk += np.float32(truth.noise) * rng.standard_normal(len(chunk), dtype=np.float32)
        if step is not None:
            chunk = np.round(chunk / np.float32(step)) * np.float32(step)
        rating[rows] = np.clip(chunk, truth.min_rating, truth.max_rating)
    return rating
