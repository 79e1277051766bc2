"""One way into every kind of ratings file."""

from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pyarrow as pa

from recobatch.errors import NoRatings
from recobatch.reading.layout import SAMPLE_BYTES, sniff
from recobatch.reading.options import ReadOptions
from recobatch.reading.packed import is_packed, opened
from recobatch.reading.parquet import MAGIC, read_parquet
from recobatch.reading.partitions import NO_PARTITIONS
from recobatch.reading.raw import RawRatings
from recobatch.reading.text import read_text


def read_ratings(
    path: Path,
    options: ReadOptions,
    where: str,
    partitions: Mapping[str, str | None] = NO_PARTITIONS,
    max_bytes: int | None = None,
) -> RawRatings:
    """Read the columns that matter of any ratings file.

    Args:
        path: Local file.
        options: What the caller knows of its layout.
        where: What to call it in error messages.
        partitions: Columns that its folders name, with their value in this file.
        max_bytes: See ``most_bytes``.

    Returns:
        All its rows, in file order, unjudged.

    Raises:
        NoRatings: If it is empty.
        BadRatings: If it cannot be read, or holds more than its size lets expect.
    """
    with opened(path, where, max_bytes) as stream:
        sample = _head(stream)
        if sample.startswith(MAGIC):
            content = pa.py_buffer(sample + stream.read()) if is_packed(path) else None
            return read_parquet(path, options, where, partitions, max_bytes, content)
    layout = sniff(sample, options, where, partitions)
    raw = read_text(path, layout, where, max_bytes)
    if not len(raw) and not raw.unreadable:
        raise NoRatings(f"{where}: found a header and no ratings, expected at least one; check how it was written")
    return raw


def _head(stream: IO[bytes]) -> bytes:
    sample = b""
    while len(sample) < SAMPLE_BYTES and (chunk := stream.read(SAMPLE_BYTES - len(sample))):
        sample += chunk
    return sample
