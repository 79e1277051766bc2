"""One ratings file → clean ratings, and quarantined rows with their reasons; in memory."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from recobatch import quarantine
from recobatch.addresses import without_secrets
from recobatch.ingest.checks import validate_rows
from recobatch.ingest.options import IngestOptions
from recobatch.ingest.report import IngestReport
from recobatch.ingest.text_ids import first_text_ids
from recobatch.ingest.writing import RatingsWriter, vocabulary_of
from recobatch.reading import Frame, Ids, RawRatings, ReadOptions, localized, read_frame, read_ratings
from recobatch.reading.lines import lines_of
from recobatch.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class _Clean:
    """Valid ratings, ids as vocabularies and indices."""

    users: Vocabulary
    items: Vocabulary
    user_index: np.ndarray
    item_index: np.ndarray
    rating: np.ndarray
    timestamp: np.ndarray


def ingest_file(uri: str, read: ReadOptions, options: IngestOptions, out: Path) -> IngestReport:
    """See ``ingest``; for one file."""
    where = without_secrets(uri)
    with localized(uri) as path:
        return _keep_valid(read_ratings(path, read, where, max_bytes=options.max_bytes), path, options, out, where)


def ingest_frame(frame: Frame, read: ReadOptions, options: IngestOptions, out: Path) -> IngestReport:
    """As ``ingest``, of a frame in memory: pandas, Polars, pyarrow or another with the Arrow C interface.

    Raises:
        BadRatings: If the frame cannot be read, or too few of its rows are valid. Nothing is written then.
    """
    where = "ratings"
    return _keep_valid(read_frame(frame, read, where), None, options, out, where)


def _keep_valid(raw: RawRatings, path: Path | None, options: IngestOptions, out: Path, where: str) -> IngestReport:
    """Write the valid rows and the quarantined ones; ``path`` is the file, for the numbers of its lines."""
    reason = validate_rows(raw, options)
    counts = quarantine.count(reason, raw)
    rows = len(raw) + len(raw.unreadable)
    if quarantine.exceeds(counts, rows, options.max_quarantined):
        first = with_lines(quarantine.collect(raw, reason, limit=1), raw, path, where)
        raise quarantine.refusal(counts, rows, options.max_quarantined, first, where, raw.unit)
    rejected = with_lines(quarantine.collect(raw, reason), raw, path, where)
    clean = _clean(raw, reason)
    rejected_path = out / "quarantine.parquet"
    rejected_path.unlink(missing_ok=True)  # an earlier run's
    if len(rejected):
        quarantine.write(rejected, rejected_path)
    with RatingsWriter(out / "ratings.parquet", clean.users, clean.items) as writer:
        writer.write(clean.user_index, clean.item_index, clean.rating, clean.timestamp)
    return IngestReport(
        rows, len(clean.rating), len(rejected), counts, out / "ratings.parquet",
        rejected_path if len(rejected) else None, raw.columns, float(clean.rating.min()), float(clean.rating.max()),
        _fingerprint(clean), first_text_ids(raw, reason, where),
    )  # fmt: skip


def with_lines(rejected: pa.Table, raw: RawRatings, path: Path | None, where: str) -> pa.Table:
    """Convert record numbers to line numbers."""
    lines, offset = rejected["line"].to_numpy(), rejected["offset"].to_numpy()
    if raw.unit == "line" and len(rejected) and path is not None:
        lines = lines_of(path, lines, skipped=raw.skipped, n_records=raw.n_records, where=where)
    return rejected.drop_columns("offset").set_column(0, "line", pa.array(lines + offset))


def _clean(raw: RawRatings, reason: np.ndarray) -> _Clean:
    valid = slice(None) if not reason.any() else np.flatnonzero(reason == 0)
    users, user_index = _indexed(raw.users, valid)
    items, item_index = _indexed(raw.items, valid)
    rating = raw.rating[valid].astype(np.float32)
    return _Clean(users, items, user_index, item_index, rating, raw.timestamp[valid])


def _indexed(ids: Ids, rows: np.ndarray | slice) -> tuple[Vocabulary, np.ndarray]:
    """Vocabulary of the ids in the chosen rows, and the index of each: int32."""
    codes = ids.codes[rows]
    vocabulary, index = vocabulary_of(ids.values, np.bincount(codes, minlength=len(ids.values)))
    return vocabulary, index[codes]


def _fingerprint(clean: _Clean) -> str:
    digest = hashlib.sha256(f"{clean.users.fingerprint}:{clean.items.fingerprint}:{len(clean.rating)}:".encode())
    for column in (clean.user_index, clean.item_index, clean.rating, clean.timestamp):
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()
