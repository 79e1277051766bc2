"""Ratings and times of any type → float64 ratings, int64 Unix seconds."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.reading.ids import recoded
from recobatch.reading.raw import NULL_TEXTS, RawRatings

_FINITE = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER = _FINITE + r"|[+-]?(?i:nan|inf|infinity)"
_DATE = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?)?"
_DATE_AND_ZONE = _DATE.removesuffix("?") + r"(?:Z|[+-]\d\d:?\d\d)"
_MISSING_TIME = ("nan", "nat", *map(str.lower, NULL_TEXTS))
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""From this magnitude on, a time counts in this fraction of a second: 1e11 seconds is the year 5138."""


def ratings_from(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Ratings (float64, NaN where there is none) and their state (uint8), both of shape ``(n,)``."""
    if _is_text(column.type):
        codes, values = recoded(column)
        numbers, state = _parsed(values)
        return np.append(numbers, np.nan)[codes], np.append(state, RawRatings.NULL).astype(np.uint8)[codes]
    state = np.zeros(len(column), dtype=np.uint8)
    if column.null_count:
        state[pc.is_null(column).to_numpy()] = RawRatings.NULL
    return column.cast(pa.float64()).to_numpy(), state


def times_from(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray | None]:
    """Unix seconds (int64, ``NO_TIME`` where there is none) and their state (uint8, or None if all can be read).

    Numbers may count seconds, milliseconds, microseconds or nanoseconds: detected by the median. Texts are numbers or
    ISO 8601; a date alone is its midnight, a time without a zone is UTC.
    """
    if _is_text(column.type):
        codes, values = recoded(column)
        seconds, state = _parsed_times(codes, values)
        by_row = np.append(state, np.uint8(RawRatings.NULL))[codes]
        return np.append(seconds, RawRatings.NO_TIME)[codes], by_row if (state == RawRatings.UNREADABLE).any() else None
    if pa.types.is_temporal(column.type):
        instants = column.cast(pa.timestamp("us", tz="UTC"), safe=False) if _has_zone(column.type) else column
        micros = instants.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        return _whole_seconds(micros, 1e6), None
    return _whole_seconds(column, None), None


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
                     pa.types.is_binary, pa.types.is_large_binary)
    )  # fmt: skip


def _has_zone(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is not None


def _whole_seconds(column: pa.ChunkedArray, per_second: float | None) -> np.ndarray:
    if pa.types.is_integer(column.type):
        numbers = column.cast(pa.int64(), safe=False).fill_null(0).to_numpy()
        missing = pc.is_null(column).to_numpy()
    else:
        numbers = column.cast(pa.float64()).fill_null(np.nan).to_numpy()
        missing = ~np.isfinite(numbers)
    known = numbers[~missing] if missing.any() else numbers
    seconds = np.full(len(numbers), RawRatings.NO_TIME)
    seconds[~missing] = _in_seconds(known, per_second or _per_second(known))
    return seconds


def _per_second(known: np.ndarray) -> float:
    """Units per second of times of this magnitude."""
    magnitude = np.median(np.abs(known.astype(np.float64))) if len(known) else 0
    return next((unit for limit, unit in _UNITS if magnitude >= limit), 1.0)


def _in_seconds(numbers: np.ndarray, per_second: float) -> np.ndarray:
    if numbers.dtype == np.int64:
        return numbers if per_second == 1 else numbers // np.int64(per_second)
    return np.clip(np.floor(numbers / per_second), -(2.0**62), 2.0**62).astype(np.int64)


def _parsed(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of texts (float64, NaN where there is none), and the state of each (uint8)."""
    texts = _trimmed(values)
    numeric = _matches(texts, _NUMBER)
    numbers = np.full(len(texts), np.nan)
    numbers[numeric] = texts.filter(pa.array(numeric)).cast(pa.float64()).to_numpy()
    missing = pc.is_in(texts, value_set=pa.array(NULL_TEXTS)).to_numpy(zero_copy_only=False)
    return numbers, np.select([numeric, missing], [RawRatings.VALID, RawRatings.NULL], RawRatings.UNREADABLE)


def _parsed_times(codes: np.ndarray, values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Unix seconds of distinct texts (int64), and the state of each (uint8); ``codes`` gives how often each occurs."""
    texts = _trimmed(values)
    seconds = np.full(len(texts), RawRatings.NO_TIME)
    missing = pc.is_in(pc.utf8_lower(texts), value_set=pa.array(_MISSING_TIME)).to_numpy(zero_copy_only=False)
    numeric = _matches(texts, _FINITE)
    numbers = np.full(len(texts) + 1, np.nan)
    numbers[:-1][numeric] = texts.filter(pa.array(numeric)).cast(pa.float64()).to_numpy()
    by_row = numbers[codes]
    seconds[numeric] = _in_seconds(numbers[:-1][numeric], _per_second(by_row[~np.isnan(by_row)]))
    dated = np.zeros(len(texts), dtype=bool)
    for pattern, kind in ((_DATE, pa.timestamp("s")), (_DATE_AND_ZONE, pa.timestamp("s", tz="UTC"))):
        chosen = _matches(texts, pattern)
        dated |= chosen
        seconds[chosen] = _moments(texts.filter(pa.array(chosen)), kind)
    for place in np.flatnonzero(~(missing | numeric | dated)):  # rarer forms of ISO 8601
        seconds[place] = _moment(texts[place].as_py())
    state = np.where(seconds == RawRatings.NO_TIME, np.uint8(RawRatings.UNREADABLE), np.uint8(RawRatings.VALID))
    state[missing] = RawRatings.NULL
    return seconds, state


def _moments(texts: pa.Array, kind: pa.DataType) -> np.ndarray:
    try:
        return pc.replace_substring_regex(texts, r"\.\d+", "").cast(kind).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:  # an impossible date, such as 31 June
        return np.array([_moment(text) for text in texts.to_pylist()], dtype=np.int64)


def _moment(text: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return RawRatings.NO_TIME
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(np.floor(moment.timestamp()))


def _matches(texts: pa.Array, pattern: str) -> np.ndarray:
    return pc.match_substring_regex(texts, f"^(?:{pattern})$").to_numpy(zero_copy_only=False)


def _trimmed(values: pa.Array) -> pa.Array:
    """As texts; bytes that are not ASCII are neither numbers nor times, and stay unreadable."""
    values = values.cast(pa.binary())  # strings of a parquet file may be any bytes
    try:
        texts = values.cast(pa.string())
    except pa.ArrowInvalid:
        texts = pa.array([value.decode("latin-1") for value in values.to_pylist()], pa.string())
    return pc.utf8_trim_whitespace(texts)
