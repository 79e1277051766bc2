"""Clean ratings by raw id → the same ratings by index, with the vocabularies of users and items.

The ratings are read twice, row group by row group; memory holds one of them, the vocabularies and the rated pairs.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.encode.numbering import Numbering, numbering
from recobatch.encode.pairs import PairsByUser
from recobatch.interactions import EncodedInteractions, InteractionsWriter

UNKNOWN_TIME = -1


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
    with (
        pq.ParquetFile(ratings_path, read_dictionary=["user_id", "item_id"]) as file,
        tempfile.TemporaryDirectory(prefix=".pairs-", dir=out) as scratch,
    ):
        users, items = numbering(file, "user_id"), numbering(file, "item_id")
        n_users, n_items, n_ratings = len(users.vocabulary), len(items.vocabulary), file.metadata.num_rows
        pairs, newest = PairsByUser(Path(scratch), n_users, n_items, n_ratings), UNKNOWN_TIME
        with InteractionsWriter(out / "interactions.parquet", n_users, n_items) as writer:
            for group in range(file.num_row_groups):
                block = _encoded(file.read_row_group(group), users, items)
                writer.write(block)
                pairs.add(block.user_index, block.item_index)
                newest = max(newest, int(block.timestamp.max(initial=UNKNOWN_TIME)))
        users.vocabulary.save(out / "users.parquet")
        items.vocabulary.save(out / "items.parquet")
        pairs.collect().save(out / "rated.npz")
    return Encoded(out, n_users, n_items, n_ratings, None if newest == UNKNOWN_TIME else newest)


def _encoded(table: pa.Table, users: Numbering, items: Numbering) -> EncodedInteractions:
    return EncodedInteractions(
        users.index(table["user_id"]), items.index(table["item_id"]), table["rating"].to_numpy(),
        table["timestamp"].fill_null(UNKNOWN_TIME).to_numpy(), len(users.vocabulary), len(items.vocabulary),
    )  # fmt: skip
