"""Any ratings file → clean ratings, and quarantined rows with their reasons."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, field_validator

from recobatch import quarantine
from recobatch.addresses import without_secrets
from recobatch.interactions import RAW_COLUMNS
from recobatch.quarantine import LARGEST_RATING, Reason
from recobatch.reading import Frame, Ids, RawRatings, ReadOptions, localized, read_frame, read_ratings
from recobatch.reading.lines import lines_of
from recobatch.vocabulary import Vocabulary

_CANONICAL_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"


class IngestOptions(BaseModel):
    """Which ratings are valid, and how many invalid ones are tolerated."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rating_range: tuple[float, float] | None = None
    """Lowest and highest rating that is accepted; None accepts every finite one."""
    max_quarantined: float = Field(default=0.05, ge=0, le=1)
    """Largest share of the rows that may be quarantined; beyond it the whole file is refused."""

    @field_validator("rating_range")
    @classmethod
    def _ascends(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError(f"found {bounds[0]:g} to {bounds[1]:g}, expected a lower end below the upper one")
        return bounds


@dataclass(frozen=True)
class IngestReport:
    """Counts and files of one ingest."""

    rows: int
    """Records in the file."""
    ratings: int
    """Clean ratings among them."""
    quarantined: int
    """Quarantined records; ``ratings + quarantined == rows``."""
    reasons: dict[str, int]
    """Number of quarantined records by reason."""
    ratings_path: Path
    quarantine_path: Path | None
    """None where nothing was quarantined."""
    columns: dict[str, str]
    """Name of the file's column by role: user, item, rating, time."""
    rating_min: float
    rating_max: float
    fingerprint: str
    """Sha256 of the clean ratings in order; independent of the file format."""

    def to_json(self) -> dict[str, Any]:
        """JSON values; of the files only their names, because the folder that holds them may be renamed."""
        names = {"ratings_path": self.ratings_path.name, "quarantine_path": None}
        if self.quarantine_path is not None:
            names["quarantine_path"] = self.quarantine_path.name
        return {**dataclasses.asdict(self), **names}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], folder: Path) -> Self:
        """Inverse of ``to_json``; ``folder`` holds the files."""
        quarantine = values["quarantine_path"]
        paths = {"ratings_path": folder / values["ratings_path"], "quarantine_path": quarantine and folder / quarantine}
        return cls(**{**values, **paths})


@dataclass(frozen=True, eq=False)
class _Clean:
    """Valid ratings, ids as vocabularies and indices."""

    users: Vocabulary
    items: Vocabulary
    user_index: np.ndarray
    item_index: np.ndarray
    rating: np.ndarray
    timestamp: np.ndarray


def ingest(uri: str, read: ReadOptions, options: IngestOptions, out: Path) -> IngestReport:
    """Read a ratings file; keep the valid ratings in file order and quarantine the others with a reason.

    Args:
        uri: Local path or URI of the file.
        read: Known parts of its layout.
        options: Which ratings are valid.
        out: Existing folder for ``ratings.parquet`` and, if any row is invalid, ``quarantine.parquet``.

    Raises:
        BadRatings: If the file cannot be read, or too few of its rows are valid. Nothing is written then.
    """
    where = without_secrets(uri)
    with localized(uri) as path:
        return _keep_valid(read_ratings(path, read, where), path, options, out, where)


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
        first = _with_lines(quarantine.collect(raw, reason, limit=1), raw, path, where)
        raise quarantine.refusal(counts, rows, options.max_quarantined, first, where, raw.unit)
    rejected = _with_lines(quarantine.collect(raw, reason), raw, path, where)
    clean = _clean(raw, reason)
    rejected_path = out / "quarantine.parquet"
    rejected_path.unlink(missing_ok=True)  # an earlier run's
    if len(rejected):
        quarantine.write(rejected, rejected_path)
    _write(clean, out / "ratings.parquet")
    return IngestReport(
        rows, len(clean.rating), len(rejected), counts, out / "ratings.parquet",
        rejected_path if len(rejected) else None, raw.columns, float(clean.rating.min()), float(clean.rating.max()),
        _fingerprint(clean),
    )  # fmt: skip


def _with_lines(rejected: pa.Table, raw: RawRatings, path: Path | None, where: str) -> pa.Table:
    """Convert record numbers to line numbers."""
    lines, offset = rejected["line"].to_numpy(), rejected["offset"].to_numpy()
    if raw.unit == "line" and len(rejected) and path is not None:
        lines = lines_of(path, lines, skipped=raw.skipped, n_records=raw.n_records, where=where)
    return rejected.drop_columns("offset").set_column(0, "line", pa.array(lines + offset))


def validate_rows(raw: RawRatings, options: IngestOptions) -> np.ndarray:
    """Check every row.

    Returns:
        A ``Reason`` for each row, uint8, shape ``(len(raw),)``; ``VALID`` for rows to keep.
    """
    reason = np.zeros(len(raw), dtype=np.uint8)
    users, items = raw.users.codes, raw.items.codes
    with np.errstate(over="ignore"):
        finite = np.isfinite(raw.rating.astype(np.float32))
    reason[(raw.rating < -LARGEST_RATING) | (raw.rating > LARGEST_RATING)] = Reason.TOO_LARGE
    if options.rating_range is not None:
        low, high = options.rating_range
        reason[(raw.rating < low) | (raw.rating > high)] = Reason.OUT_OF_RANGE
    reason[~finite] = Reason.NON_FINITE
    reason[(users == Ids.NULL) | (items == Ids.NULL) | (raw.rating_state == RawRatings.NULL)] = Reason.NULL
    unreadable = (users == Ids.UNREADABLE) | (items == Ids.UNREADABLE) | (raw.rating_state == RawRatings.UNREADABLE)
    if raw.time_state is not None:
        unreadable |= raw.time_state == RawRatings.UNREADABLE
    reason[unreadable] = Reason.UNREADABLE
    reason[_superseded(raw, np.flatnonzero(reason == 0))] = Reason.DUPLICATE
    return reason


def _superseded(raw: RawRatings, valid: np.ndarray) -> np.ndarray:
    """Rows among ``valid`` whose pair occurs again with a later time, or with the same time further down the file."""
    key = raw.users.codes[valid].astype(np.int64) * max(len(raw.items.values), 1) + raw.items.codes[valid]
    ascending = np.sort(key)
    doubled = np.unique(ascending[1:][ascending[1:] == ascending[:-1]])
    if not len(doubled):
        return doubled
    rows = np.flatnonzero(pc.is_in(pa.array(key), value_set=pa.array(doubled)).to_numpy(zero_copy_only=False))
    order = np.lexsort((raw.timestamp[valid[rows]], key[rows]))  # stable: ties stay in file order
    rows = rows[order]
    return valid[rows[:-1][key[rows[:-1]] == key[rows[1:]]]]


def _clean(raw: RawRatings, reason: np.ndarray) -> _Clean:
    valid = slice(None) if not reason.any() else np.flatnonzero(reason == 0)
    users, user_index = _indexed(raw.users, valid)
    items, item_index = _indexed(raw.items, valid)
    rating = raw.rating[valid].astype(np.float32)
    return _Clean(users, items, user_index, item_index, rating, raw.timestamp[valid])


def _indexed(ids: Ids, rows: np.ndarray | slice) -> tuple[Vocabulary, np.ndarray]:
    """Vocabulary of the ids in the chosen rows, and the index of each: int32.

    Strings become integers if every one is the canonical form of an int64 ("7", not "007" nor "+7").
    """
    codes = ids.codes[rows]
    used = np.flatnonzero(np.bincount(codes, minlength=len(ids.values)))
    values = ids.values.take(pa.array(used))
    if pa.types.is_string(values.type) and pc.all(pc.match_substring_regex(values, _CANONICAL_INTEGER)).as_py():
        with contextlib.suppress(pa.ArrowInvalid):  # nineteen digits may exceed int64
            values = values.cast(pa.int64())
    vocabulary = Vocabulary.build(values)
    index = np.zeros(len(ids.values), dtype=np.int32)
    index[used] = vocabulary.encode(values)
    return vocabulary, index[codes]


def _write(clean: _Clean, path: Path) -> None:
    unknown = clean.timestamp == RawRatings.NO_TIME
    columns = [
        _decoded(clean.users, clean.user_index), _decoded(clean.items, clean.item_index),
        pa.array(clean.rating), pa.array(clean.timestamp, mask=unknown if unknown.any() else None),
    ]  # fmt: skip
    table = pa.table(dict(zip(RAW_COLUMNS, columns, strict=True)))
    packed = [name for name in RAW_COLUMNS if pa.types.is_integer(table.schema.field(name).type)]
    # Without the stored Arrow schema, a string column written from a dictionary reads back as plain strings.
    pq.write_table(
        table, path, compression="zstd", compression_level=1, store_schema=False,
        use_dictionary=[name for name in RAW_COLUMNS if name not in packed],
        column_encoding=dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
    )  # fmt: skip


def _decoded(vocabulary: Vocabulary, index: np.ndarray) -> pa.Array:
    if pa.types.is_integer(vocabulary.ids.type):
        return pa.array(vocabulary.ids.to_numpy()[index])
    return pa.DictionaryArray.from_arrays(pa.array(index), vocabulary.ids)


def _fingerprint(clean: _Clean) -> str:
    digest = hashlib.sha256(f"{clean.users.fingerprint}:{clean.items.fingerprint}:{len(clean.rating)}:".encode())
    for column in (clean.user_index, clean.item_index, clean.rating, clean.timestamp):
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()
