"""Any ratings file → columns of raw ids, ratings and times.

A local path or a URI (``s3://``, ``gs://``, ``http(s)://``, ``file://``, ``memory://``, any fsspec scheme); csv, tsv or
any other delimiter, or parquet; plain or as gz, bz2, xz, zst, lz4 or a zip with one file in it; with or without
a header. What ``ReadOptions`` leaves open is detected. ``read_frame`` does the same for a frame in memory.
"""

from recobatch.reading.frames import Frame, as_arrow, read_frame
from recobatch.reading.opening import localized
from recobatch.reading.options import ReadOptions
from recobatch.reading.ratings import read_ratings
from recobatch.reading.raw import Ids, RawRatings, Unreadable

__all__ = [
    "Frame", "Ids", "RawRatings", "ReadOptions", "Unreadable", "as_arrow", "localized", "read_frame", "read_ratings",
]  # fmt: skip
