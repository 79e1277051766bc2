"""A table of a version as one csv or parquet file, in pieces that the next export of the same rows continues."""

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from recobatch.storage.durable import fsync_file
from recobatch.storage.growing_file import GrowingFile
from recobatch.table.in_order import map_in_order
from recobatch.table.parquet_join import MAGIC, joined_footer, raw_piece
from recobatch.table.pieces import Piece, Rows

OnRows = Callable[[int], None]
"""Called with a number of rows."""


def build_file(folder: Path, rows: Rows, suffix: str, *, on_resume: OnRows, on_rows: OnRows) -> Path:
    """Write what is missing of a file.

    Args:
        folder: Belongs to this export; what an earlier one of the same rows left there is used.
        rows: What to write.
        suffix: ``.csv``, ``.csv.gz`` or ``.parquet``.
        on_resume: Called with the rows that were there.
        on_rows: Called after the rows of each piece are on the disk.

    Returns:
        The file, whole.

    Raises:
        OSError: If the disk refuses it.
        BadTable: If the files cannot be put together.
    """
    file = GrowingFile(folder)
    done, missing = rows.pieces[: file.n_pieces], rows.pieces[file.n_pieces :]
    on_resume(sum(piece.rows for piece in done))
    for piece, chunks in _chunks(rows, missing, suffix):
        file.append(chunks if file.n_pieces else _with_header(chunks, rows.schema, suffix))
        on_rows(piece.rows)
    if suffix == ".parquet":
        with file.path.open("ab") as end:
            end.write(joined_footer(rows.pieces))
        fsync_file(file.path)
    return file.path


def _chunks(rows: Rows, pieces: Sequence[Piece], suffix: str) -> Iterator[tuple[Piece, Iterator[bytes]]]:
    if suffix == ".parquet":
        return ((piece, raw_piece(piece)) for piece in pieces)
    packed = suffix == ".csv.gz"

    def text_of(piece: Piece) -> Iterator[bytes]:
        out, options = io.BytesIO(), pyarrow.csv.WriteOptions(include_header=False)
        for batch in piece.batches(rows.schema):
            pyarrow.csv.write_csv(batch, out, options)
        return iter([_packed(out.getbuffer()) if packed else out.getvalue()])

    return map_in_order(text_of, pieces)


def _with_header(chunks: Iterator[bytes], schema: pa.Schema, suffix: str) -> Iterator[bytes]:
    if suffix == ".parquet":
        yield MAGIC
    else:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(schema.names)
        header = line.getvalue().encode()
        yield _packed(header) if suffix == ".csv.gz" else header
    yield from chunks


def _packed(content: bytes | memoryview) -> bytes:
    # A gzip file may consist of several members (RFC 1952, section 2.2); every reader joins them.
    return gzip.compress(content, 6, mtime=0)
