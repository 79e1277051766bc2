"""Ratings of one file or of many → clean ratings, and quarantined rows with their reasons."""

from pathlib import Path

from recobatch.ingest.many_files import ingest_files
from recobatch.ingest.one_file import ingest_file, ingest_frame
from recobatch.ingest.options import IngestOptions
from recobatch.ingest.report import IngestReport
from recobatch.reading import ReadOptions
from recobatch.reading.files import list_files, names_many

__all__ = ["IngestOptions", "IngestReport", "ingest", "ingest_frame"]


def ingest(uri: str, read: ReadOptions, options: IngestOptions, out: Path) -> IngestReport:
    """Read ratings; keep the valid ones in order and quarantine the others with a reason.

    Args:
        uri: Local path or URI of a file, or of a folder or glob whose files are read as one, in the order of their
            paths.
        read: Known parts of its layout.
        options: Which ratings are valid.
        out: Existing folder for ``ratings.parquet`` and, if any row is invalid, ``quarantine.parquet``.

    Raises:
        BadRatings: If a file cannot be read, the files do not belong together, or too few of the rows are valid.
            Nothing is written then.
    """
    if names_many(uri):
        return ingest_files(uri, list_files(uri), read, options, out)
    return ingest_file(uri, read, options, out)
