"""Clean ratings by raw id → the same ratings by index, with the vocabularies of users and items."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.interactions import EncodedInteractions
from recobatch.rated import RatedPairs
from recobatch.vocabulary import Vocabulary

UNKNOWN_TIME = -1
_WIDEST_TABLE = 4
"""Integer ids whose range is at most this many times the number of ratings are encoded through a lookup table."""


@dataclass(frozen=True)
class Encoded:
    """Files and sizes of the encoded ratings."""

    folder: Path
    n_users: int
    n_items: int
    n_ratings: int
    newest: int | None
    """Unix seconds of the newest rating; None if no time is known."""

    @property
    def interactions_path(self) -> Path:
        """``EncodedInteractions``, in the order of the ratings."""
        return self.folder / "interactions.parquet"

    @property
    def users_path(self) -> Path:
        """``Vocabulary`` of the users."""
        return self.folder / "users.parquet"

    @property
    def items_path(self) -> Path:
        """``Vocabulary`` of the items."""
        return self.folder / "items.parquet"

    @property
    def rated_path(self) -> Path:
        """``RatedPairs`` of all ratings."""
        return self.folder / "rated.npz"

    def to_json(self) -> dict[str, Any]:
        """JSON values; without the folder, which may be renamed."""
        values = asdict(self)
        del values["folder"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any], folder: Path) -> Self:
        """Inverse of ``to_json``; ``folder`` holds the files."""
        return cls(folder, **values)


def encode(ratings_path: Path, out: Path) -> Encoded:
    """Replace the ids of users and items by indices.

    Args:
        ratings_path: Parquet file with ``RAW_COLUMNS``, as ``ingest`` writes it.
        out: Existing folder for ``interactions.parquet``, ``users.parquet``, ``items.parquet`` and ``rated.npz``.
    """
    table = pq.read_table(ratings_path, read_dictionary=["user_id", "item_id"])
    users, user_index = _numbered(table["user_id"])
    items, item_index = _numbered(table["item_id"])
    interactions = EncodedInteractions(
        user_index, item_index, table["rating"].to_numpy(),
        table["timestamp"].fill_null(UNKNOWN_TIME).to_numpy(), len(users), len(items),
    )  # fmt: skip
    encoded = Encoded(out, len(users), len(items), len(interactions), _newest(interactions))
    interactions.save(encoded.interactions_path)
    users.save(encoded.users_path)
    items.save(encoded.items_path)
    RatedPairs.collect(interactions).save(encoded.rated_path)
    return encoded


def _newest(interactions: EncodedInteractions) -> int | None:
    newest = int(interactions.timestamp.max(initial=UNKNOWN_TIME))
    return None if newest == UNKNOWN_TIME else newest


def _numbered(ids: pa.ChunkedArray) -> tuple[Vocabulary, np.ndarray]:
    """Vocabulary of a column, and the index of each row: int32."""
    if pa.types.is_integer(ids.type):
        numbers = ids.to_numpy()
        low, high = int(numbers.min()), int(numbers.max())
        if high - low < _WIDEST_TABLE * len(numbers):
            return _numbered_by_table(numbers - low, low, high)
    if not pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_encode()
    merged = ids.unify_dictionaries().combine_chunks()
    vocabulary = Vocabulary.build(merged.dictionary)
    return vocabulary, vocabulary.encode(merged.dictionary)[merged.indices.to_numpy()]


def _numbered_by_table(offset: np.ndarray, low: int, high: int) -> tuple[Vocabulary, np.ndarray]:
    """As ``_numbered``, through a table over the range from low to high: ten times faster than hashing."""
    seen = np.zeros(high - low + 1, dtype=bool)
    seen[offset] = True
    index = np.cumsum(seen, dtype=np.int32) - np.int32(1)
    return Vocabulary(pa.array(np.flatnonzero(seen) + low)), index[offset]
