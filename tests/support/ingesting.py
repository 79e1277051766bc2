"""Take some bytes in, and look at all that comes of them."""

import pyarrow.parquet as pq

from recobatch.ingest import IngestOptions, ingest
from recobatch.reading import ReadOptions

HEADER = "user,item,rating,time\n"
LENIENT = IngestOptions(max_quarantined=1)


def ingest_content(folder, content, read=None, options=LENIENT):
    """Ingest some bytes or text; the report, the clean rows and those set aside."""
    source = folder / "given"
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = ingest(str(source), read or ReadOptions(), options, folder)
    aside = [] if report.quarantine_path is None else pq.read_table(report.quarantine_path).to_pylist()
    return report, pq.read_table(report.ratings_path), aside


def clean_rows(folder, content, **read):
    """The clean rows as tuples, where none is set aside."""
    report, table, _ = ingest_content(folder, content, ReadOptions(**read))
    assert report.quarantined == 0
    return list(zip(*table.to_pydict().values(), strict=True))
