"""Raw ids and their dense indices."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.errors import BadInput, BadTable


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """An ordered set of raw ids; the position of an id is its index.

    Ids ascend (integers by value, strings by code point), so a table written in index order is sorted by raw id.
    """

    ids: pa.Array
    """Raw ids, int64 or string, unique, ascending, no nulls."""

    @classmethod
    def build(cls, raw_ids: pa.Array | pa.ChunkedArray) -> "Vocabulary":
        """Collect the distinct ids of a column.

        Args:
            raw_ids: Any integer or string type, possibly dictionary-encoded, without nulls.

        Raises:
            BadInput: If the column has nulls or is neither integers nor strings.
        """
        unique = _plain(pc.unique(raw_ids))
        if unique.null_count:
            raise BadInput("found null ids, expected an id in every row; drop those rows before encoding")
        return cls(unique.take(pc.array_sort_indices(unique)))

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, raw_ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Translate raw ids into indices.

        Args:
            raw_ids: Column of raw ids, length n.

        Returns:
            Indices, int32, shape ``(n,)``.

        Raises:
            BadInput: If an id is unknown; the message names up to five.
        """
        indices = self.find(raw_ids)
        if len(indices) and indices.min() < 0:
            unknown = pc.unique(_plain(raw_ids).filter(pa.array(indices < 0))).to_pylist()
            shown = ", ".join(map(repr, unknown[:5])) + (", …" if len(unknown) > 5 else "")
            raise BadInput(
                f"found {len(unknown)} unknown ids ({shown}), expected ids among the {len(self):,} that the "
                f"model was trained with; leave them out or train again with their ratings"
            )
        return indices

    def find(self, raw_ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """As ``encode``, with -1 for an id that is unknown."""
        wanted = _plain(raw_ids)
        if wanted.type != self.ids.type:
            wanted = _cast_ids(wanted, self.ids.type)
        return pc.fill_null(pc.index_in(wanted, value_set=self.ids), -1).to_numpy(zero_copy_only=False)

    def decode(self, indices: np.ndarray) -> pa.Array:
        """Translate indices, integers within ``[0, len(self))``, back into raw ids.

        Raises:
            IndexError: If an index leaves the vocabulary.
        """
        return self.ids.take(pa.array(indices))

    def share_missing(self, others: pa.Array) -> float:
        """Share of other distinct ids that this vocabulary lacks, within [0, 1]; 1 if the types differ."""
        if not len(others):
            return 0.0
        if _plain(others).type != self.ids.type:
            return 1.0
        return float(np.mean(self.find(others) < 0))

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 over the id type and every id in order, as 64 hex digits."""
        digest = hashlib.sha256(f"{self.ids.type}:{len(self)}:".encode())
        if pa.types.is_integer(self.ids.type):
            digest.update(self.ids.to_numpy().tobytes())
        else:
            digest.update(pc.binary_length(self.ids).to_numpy().tobytes())
            digest.update("".join(self.ids.to_pylist()).encode())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write the ids as a parquet file with one column ``id``; the row number is the index."""
        table = pa.table({"id": self.ids}).replace_schema_metadata({"fingerprint": self.fingerprint})
        pq.write_table(table, path, compression="zstd")

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Inverse of ``save``.

        Raises:
            BadTable: If the ids do not match their stored fingerprint.
        """
        table = pq.read_table(path)
        vocabulary = cls(_plain(table["id"]))
        recorded = (table.schema.metadata or {}).get(b"fingerprint", b"none").decode()
        if recorded != vocabulary.fingerprint:
            raise BadTable(
                f"{path}: found ids with fingerprint {vocabulary.fingerprint[:12]}…, expected {recorded[:12]}… "
                f"as recorded when it was saved; the file was changed, restore it or train again"
            )
        return vocabulary


def _plain(ids: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One contiguous array of int64 or string from any integer, string or dictionary type."""
    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    if pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_decode()
    if pa.types.is_integer(ids.type):
        return ids.cast(pa.int64())
    if pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type) or pa.types.is_string_view(ids.type):
        return ids.cast(pa.string())
    raise BadInput(f"found ids of type {ids.type}, expected integers or strings; convert the column first")


def _cast_ids(ids: pa.Array, wanted: pa.DataType) -> pa.Array:
    try:
        return ids.cast(wanted)
    except pa.ArrowInvalid:
        raise BadInput(f"found {ids.type} ids, expected {wanted} ids; convert them first") from None
