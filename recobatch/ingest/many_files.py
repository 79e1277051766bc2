"""Many ratings files, read as one; memory holds one file, and sorts a range of users at a time."""

import contextlib
import tempfile
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recobatch import quarantine
from recobatch.addresses import without_secrets
from recobatch.errors import BadRatings, NoRatings
from recobatch.ingest.checks import validate_each
from recobatch.ingest.gathered import Gathered
from recobatch.ingest.one_file import with_lines
from recobatch.ingest.options import IngestOptions
from recobatch.ingest.report import IngestReport
from recobatch.ingest.text_ids import first_text_ids
from recobatch.quarantine import Reason
from recobatch.reading import RawRatings, ReadOptions, localized, read_ratings
from recobatch.reading.files import RatingsFile


@dataclass(frozen=True)
class _Part:
    """A file that was read."""

    file: RatingsFile
    path: Path
    """Its copy on this machine, or itself."""
    read: Callable[[], RawRatings]
    """Reads it, each time anew."""
    rows: slice
    """Its rows among those of all files."""
    unreadable: int
    """Records that do not split."""
    unit: str
    columns: dict[str, str]
    text_ids: Mapping[str, str]

    @property
    def where(self) -> str:
        return without_secrets(self.file.uri)


def ingest_files(
    uri: str, files: Sequence[RatingsFile], read: ReadOptions, options: IngestOptions, out: Path
) -> IngestReport:
    """See ``ingest``; for the files behind ``uri``, in their order. An empty one is passed over.

    Their columns must have the same names. ``quarantine.parquet`` names the file of every row.
    """
    where = without_secrets(uri)
    with contextlib.ExitStack() as kept:
        gathered = Gathered(Path(kept.enter_context(tempfile.TemporaryDirectory(prefix=".columns-", dir=out))))
        parts = list(_gather(files, read, options, gathered, kept))
        if not parts:
            raise NoRatings(f"{where}: found {len(files)} files without a rating, expected at least one rating; "
                            f"check how they were written")  # fmt: skip
        gathered.mark_duplicates()
        rows, counts = len(gathered) + sum(part.unreadable for part in parts), _by_reason(gathered, parts)
        if quarantine.exceeds(counts, rows, options.max_quarantined):
            part, first = next(_rejected(parts, gathered, limit=1))
            unit = f"{part.file.name}, {part.unit}"
            raise quarantine.refusal(counts, rows, options.max_quarantined, first, where, unit)
        rejected_path = _write_rejected(parts, gathered, out / "quarantine.parquet") if counts else None
        low, high, fingerprint = gathered.write(out / "ratings.parquet")
    rejected = sum(counts.values())
    return IngestReport(
        rows, rows - rejected, rejected, counts, out / "ratings.parquet", rejected_path, parts[0].columns, low, high,
        fingerprint, dict(ChainMap(*(dict(part.text_ids) for part in parts))),
    )  # fmt: skip


def _gather(
    files: Sequence[RatingsFile], read: ReadOptions, options: IngestOptions, gathered: Gathered,
    kept: contextlib.ExitStack,
) -> Iterator[_Part]:  # fmt: skip
    first = None
    for file in files:
        path = kept.enter_context(localized(file.uri))
        with contextlib.suppress(NoRatings):
            part = _take(file, path, read, options, gathered, first)
            first = first or part
            yield part
        pa.default_memory_pool().release_unused()


def _take(
    file: RatingsFile, path: Path, read: ReadOptions, options: IngestOptions, gathered: Gathered, first: _Part | None
) -> _Part:
    where = without_secrets(file.uri)
    again = partial(read_ratings, path, read, where, file.partitions, options.max_bytes)
    raw, start = again(), len(gathered)
    reason = validate_each(raw, options)
    part = _Part(
        file, path, again, slice(start, start + len(raw)), len(raw.unreadable), raw.unit, raw.columns,
        first_text_ids(raw, reason, where),
    )  # fmt: skip
    if first is not None:
        _require_alike(part, first)
    gathered.add(raw, reason)
    return part


def _require_alike(part: _Part, first: _Part) -> None:
    if part.unit != first.unit:
        kinds = {"line": "a text file", "row": "a parquet file"}
        raise BadRatings(
            f"{part.where}: found {kinds[part.unit]} beside {kinds[first.unit]} ({first.file.name}), expected one "
            f"format; convert it, move it, or pass a glob that leaves it out"
        )
    if part.columns != first.columns:
        raise BadRatings(
            f"{part.where}: found {_shown(part.columns)}, expected {_shown(first.columns)} as in {first.file.name}; "
            f"write all files with the same columns, or pass a glob that leaves it out"
        )


def _shown(columns: dict[str, str]) -> str:
    return "columns " + ", ".join(f"{name[:40]!r} ({role})" for role, name in columns.items())


def _by_reason(gathered: Gathered, parts: Sequence[_Part]) -> dict[str, int]:
    counts = gathered.counts()
    counts[Reason.UNREADABLE] += sum(part.unreadable for part in parts)
    return {each.label: int(counts[each]) for each in Reason if each is not Reason.VALID and counts[each]}


def _rejected(parts: Sequence[_Part], gathered: Gathered, limit: int | None = None) -> Iterator[tuple[_Part, pa.Table]]:
    """The quarantined records of each file that has any; the file is read again."""
    for part in parts:
        reason = gathered.reason.read(part.rows.start, part.rows.stop)
        if part.unreadable or reason.any():
            yield part, _quote(part, reason, limit)


def _quote(part: _Part, reason: np.ndarray, limit: int | None) -> pa.Table:
    raw = part.read()
    return with_lines(quarantine.collect(raw, reason, limit=limit), raw, part.path, part.where)


def _write_rejected(parts: Sequence[_Part], gathered: Gathered, path: Path) -> Path:
    writer = None
    try:
        for part, rejected in _rejected(parts, gathered):
            names = pa.array([part.file.name], pa.string()).take(pa.array(np.zeros(len(rejected), np.int32)))
            table = rejected.add_column(0, "file", names)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    return path
