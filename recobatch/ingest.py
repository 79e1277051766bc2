"""Any ratings file → clean ratings, and a quarantine with reasons."""

import contextlib
import dataclasses
import hashlib
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
from recobatch.quarantine import Reason
from recobatch.reading import Ids, RawRatings, ReadOptions, localized, read_ratings
from recobatch.reading.lines import lines_of
from recobatch.vocabulary import Vocabulary

_CANONICAL_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"


class IngestOptions(BaseModel):
    """What counts as a sound rating, and how many unsound ones are tolerated."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rating_range: tuple[float, float] | None = None
    """Lowest and highest rating that is accepted; None accepts every finite one."""
    max_quarantined: float = Field(default=0.05, ge=0, le=1)
    """Part of the rows that may be set aside before the whole file is refused."""

    @field_validator("rating_range")
    @classmethod
    def _ascends(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError(f"found {bounds[0]:g} to {bounds[1]:g}, expected a lower end below the upper one")
        return bounds


@dataclass(frozen=True)
class IngestReport:
    """What came of a ratings file."""

    rows: int
    """Records in the file."""
    ratings: int
    """Clean ratings among them."""
    quarantined: int
    """Records set aside; with ``ratings`` they are all ``rows``."""
    reasons: dict[str, int]
    """How many were set aside for each reason."""
    ratings_path: Path
    quarantine_path: Path | None
    """None where nothing was set aside."""
    columns: dict[str, str]
    """Which column of the file was the user, item, rating and time."""
    rating_min: float
    rating_max: float
    fingerprint: str
    """Sha256 of the clean ratings in order, whatever file format they came in."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        paths = {"ratings_path": str(self.ratings_path), "quarantine_path": self.quarantine_path}
        return {**dataclasses.asdict(self), **{name: path and str(path) for name, path in paths.items()}}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild what ``to_dict`` took apart."""
        aside = values["quarantine_path"]
        paths = {"ratings_path": Path(values["ratings_path"]), "quarantine_path": Path(aside) if aside else None}
        return cls(**{**values, **paths})


@dataclass(frozen=True, eq=False)
class _Clean:
    """Sound ratings, ids as vocabularies and indices."""

    users: Vocabulary
    items: Vocabulary
    user_index: np.ndarray
    item_index: np.ndarray
    rating: np.ndarray
    timestamp: np.ndarray


def ingest(uri: str, read: ReadOptions, options: IngestOptions, out: Path) -> IngestReport:
    """Read a ratings file, keep the sound ratings in file order, set the others aside with the reason.

    Args:
        uri: Local path or URI of the file.
        read: What is known of its layout.
        options: What counts as sound.
        out: Existing folder, which gets ``ratings.parquet`` and, if need be, ``quarantine.parquet``.

    Raises:
        BadRatings: If the file cannot be read, or too little of it is sound; nothing is then written.
    """
    where = without_secrets(uri)
    with localized(uri) as path:
        raw = read_ratings(path, read, where)
        reason = judge(raw, options)
        counts = quarantine.count(reason, raw)
        rows = len(raw) + len(raw.unreadable)
        if quarantine.is_too_much(counts, rows, options.max_quarantined):
            first = _with_lines(quarantine.collect(raw, reason, limit=1), raw, path, where)
            raise quarantine.refusal(counts, rows, options.max_quarantined, first, where, raw.unit)
        aside = _with_lines(quarantine.collect(raw, reason), raw, path, where)
    clean = _clean(raw, reason)
    aside_path = out / "quarantine.parquet"
    aside_path.unlink(missing_ok=True)  # an earlier run's
    if len(aside):
        quarantine.write(aside, aside_path)
    _write(clean, out / "ratings.parquet")
    return IngestReport(
        rows, len(clean.rating), len(aside), counts, out / "ratings.parquet", aside_path if len(aside) else None,
        raw.columns, float(clean.rating.min()), float(clean.rating.max()), _fingerprint(clean),
    )  # fmt: skip


def _with_lines(aside: pa.Table, raw: RawRatings, path: Path, where: str) -> pa.Table:
    """Turn places among the records into line numbers."""
    lines, offset = aside["line"].to_numpy(), aside["offset"].to_numpy()
    if raw.unit == "line" and len(aside):
        lines = lines_of(path, lines, skipped=raw.skipped, n_records=raw.n_records, where=where)
    return aside.drop_columns("offset").set_column(0, "line", pa.array(lines + offset))


def judge(raw: RawRatings, options: IngestOptions) -> np.ndarray:
    """Why each row is set aside: a ``Reason`` each, uint8, shape ``(len(raw),)``."""
    reason = np.zeros(len(raw), dtype=np.uint8)
    users, items = raw.users.codes, raw.items.codes
    with np.errstate(over="ignore"):
        finite = np.isfinite(raw.rating.astype(np.float32))
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


def _superseded(raw: RawRatings, sound: np.ndarray) -> np.ndarray:
    """Rows among ``sound`` whose user rated the same item later, or at the same time further down."""
    key = raw.users.codes[sound].astype(np.int64) * max(len(raw.items.values), 1) + raw.items.codes[sound]
    ascending = np.sort(key)
    doubled = np.unique(ascending[1:][ascending[1:] == ascending[:-1]])
    if not len(doubled):
        return doubled
    rows = np.flatnonzero(pc.is_in(pa.array(key), value_set=pa.array(doubled)).to_numpy(zero_copy_only=False))
    order = np.lexsort((raw.timestamp[sound[rows]], key[rows]))  # stable: ties stay in file order
    rows = rows[order]
    return sound[rows[:-1][key[rows[:-1]] == key[rows[1:]]]]


def _clean(raw: RawRatings, reason: np.ndarray) -> _Clean:
    sound = slice(None) if not reason.any() else np.flatnonzero(reason == 0)
    users, user_index = _indexed(raw.users, sound)
    items, item_index = _indexed(raw.items, sound)
    rating = raw.rating[sound].astype(np.float32)
    return _Clean(users, items, user_index, item_index, rating, raw.timestamp[sound])


def _indexed(ids: Ids, rows: np.ndarray | slice) -> tuple[Vocabulary, np.ndarray]:
    """The vocabulary of the ids in the chosen rows, and the index of each: int32.

    Texts become integers if every one is the way an int64 is written ("7", not "007" nor "+7").
    """
    codes = ids.codes[rows]
    used = np.flatnonzero(np.bincount(codes, minlength=len(ids.values)))
    values = ids.values.take(pa.array(used))
    if pa.types.is_string(values.type) and pc.all(pc.match_substring_regex(values, _CANONICAL_INTEGER)).as_py():
        with contextlib.suppress(pa.ArrowInvalid):  # nineteen digits may be beyond int64
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
    # Without Arrow's own schema a text column reads back as text, though it was written from a dictionary.
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
