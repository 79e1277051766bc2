"""A table of a version in pieces of about a million rows, in the order of its rows: what an export can resume at."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.errors import BadTable
from recobatch.storage.fingerprints import code_fingerprint, fingerprint
from recobatch.table.published import Published

Exported = Literal["top", "predictions", "changes", "titles"]

_PIECE_ROWS = 1_000_000
"""Row groups are joined until they have that many."""
_BATCH_ROWS = 122_880
"""A row group of DuckDB's: it keeps batches of other sizes in row groups that are partly filled, a third larger."""


@dataclass(frozen=True)
class Piece:
    """Neighbouring row groups of one parquet file."""

    file: Path | pa.NativeFile
    metadata: pq.FileMetaData
    groups: range

    @property
    def rows(self) -> int:
        return sum(self.metadata.row_group(group).num_rows for group in self.groups)

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Its rows, read one batch at a time."""
        if self.groups:
            parquet = pq.ParquetFile(self.file, metadata=self.metadata)
            for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=list(self.groups)):
                yield batch.cast(schema)


@dataclass(frozen=True)
class Rows:
    """A table of the champion of one version."""

    name: Exported
    version: str
    identity: str
    """Digest of the files, of how they are divided, and of the code that writes them, as hex digits."""
    schema: pa.Schema
    """Columns, without key-value metadata."""
    pieces: Sequence[Piece]

    @classmethod
    def of(cls, snapshot: Published, name: Exported) -> "Rows":
        """Read the footers of the files.

        Raises:
            BadTable: If the version has no such table.
        """
        parts = _parts(snapshot, name)
        files = [pq.ParquetFile(part) for part in parts]
        pieces = [
            Piece(part, file.metadata, groups)
            for part, file in zip(parts, files, strict=True)
            for groups in _joined(file.metadata)
        ]
        digests = {entry.path: entry.sha256 for entry in snapshot.manifest.files}
        identity = fingerprint([name, snapshot.version, snapshot.champion, digests, _PIECE_ROWS, code_fingerprint()])
        return cls(name, snapshot.version, identity, files[0].schema_arrow.remove_metadata(), pieces)

    @property
    def count(self) -> int:
        return sum(piece.rows for piece in self.pieces)

    def pieces_within(self, rows: int) -> int | None:
        """How many pieces from the first on make up that many rows; None if there is no such number."""
        sums = [0, *itertools.accumulate(piece.rows for piece in self.pieces)]
        return len(sums) - 1 - sums[::-1].index(rows) if rows in sums else None


def _joined(metadata: pq.FileMetaData) -> Iterator[range]:
    start, rows = 0, 0
    for group in range(metadata.num_row_groups):
        rows += metadata.row_group(group).num_rows
        if rows >= _PIECE_ROWS:
            yield range(start, group + 1)
            start, rows = group + 1, 0
    if start < metadata.num_row_groups or start == 0:
        yield range(start, metadata.num_row_groups)


def _parts(snapshot: Published, name: Exported) -> list[Path | pa.NativeFile]:
    if name == "titles":
        found = [snapshot.titles] if snapshot.titles is not None else []
    elif name == "changes":
        found = list(snapshot.files("changes"))
    else:
        found = list(snapshot.parts("table" if name == "predictions" else "top"))
    if not found:
        raise BadTable(f"{snapshot.location}: found no {name}, expected some to export; name another table or version")
    return found
