"""Ratings and times, whatever they were written as → float64 ratings, int64 Unix seconds."""

import datetime
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.reading.ids import recoded
from recobatch.reading.raw import RawRatings

_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|inf|infinity)", re.IGNORECASE | re.ASCII)
_MISSING_TIME = ("", "nan", "nat")
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""From this magnitude on, a time counts in this fraction of a second: 1e11 seconds is the year 5138."""


def ratings_from(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Ratings (float64, NaN where there is none) and their state (uint8), both of shape ``(n,)``."""
    if _is_text(column.type):
        codes, values = recoded(column)
        numbers, state = _parsed(values)
        return np.append(numbers, np.nan)[codes], np.append(state, np.uint8(RawRatings.NULL))[codes]
    state = np.zeros(len(column), dtype=np.uint8)
    if column.null_count:
        state[pc.is_null(column).to_numpy()] = RawRatings.NULL
    return column.cast(pa.float64()).to_numpy(), state


def times_from(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray | None]:
    """Unix seconds (int64, ``NO_TIME`` where there is none) and their state (uint8, or None if all can be read).

    Numbers may count seconds, milliseconds, microseconds or nanoseconds: the median tells which. Texts are numbers or
    ISO 8601; a date alone is its midnight, a time without a zone is UTC.
    """
    if _is_text(column.type):
        codes, values = recoded(column)
        seconds, state = _parsed_times(values)
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
    missing = pc.is_null(column, nan_is_null=True).to_numpy()
    if pa.types.is_integer(column.type):
        numbers = column.cast(pa.int64(), safe=False).fill_null(0).to_numpy()
    else:
        numbers = np.nan_to_num(column.cast(pa.float64()).fill_null(0).to_numpy(), nan=0.0)
    seconds = _in_seconds(numbers, missing, per_second)
    if missing.any():
        seconds[missing] = RawRatings.NO_TIME
    return seconds


def _in_seconds(numbers: np.ndarray, missing: np.ndarray, per_second: float | None) -> np.ndarray:
    if per_second is None:
        known = numbers[~missing] if missing.any() else numbers
        magnitude = np.median(np.abs(known.astype(np.float64))) if len(known) else 0
        per_second = next((unit for limit, unit in _UNITS if magnitude >= limit), 1.0)
    if numbers.dtype == np.int64:
        return numbers.copy() if per_second == 1 else numbers // np.int64(per_second)
    return np.clip(np.floor(numbers / per_second), -(2.0**62), 2.0**62).astype(np.int64)


def _parsed(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    numbers, state = np.full(len(values), np.nan), np.zeros(len(values), dtype=np.uint8)
    for place, text in enumerate(_texts(values)):
        if _NUMBER.fullmatch(text):
            numbers[place] = float(text)
        else:
            state[place] = RawRatings.UNREADABLE if text else RawRatings.NULL
    return numbers, state


def _parsed_times(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    texts = _texts(values)
    state = np.zeros(len(texts), dtype=np.uint8)
    numeric = np.array([_NUMBER.fullmatch(text) is not None and text.lower() != "nan" for text in texts], dtype=bool)
    numbers = np.array([float(text) if is_number else 0.0 for text, is_number in zip(texts, numeric, strict=True)])
    seconds = _in_seconds(numbers, ~numeric, None)
    for place in np.flatnonzero(~numeric):
        moment = _moment(texts[place])
        seconds[place] = RawRatings.NO_TIME if moment is None else moment
        if moment is None:
            missing = texts[place].lower() in _MISSING_TIME
            state[place] = RawRatings.NULL if missing else RawRatings.UNREADABLE
    return seconds, state


def _moment(text: str) -> int | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(np.floor(moment.timestamp()))


def _texts(values: pa.Array) -> list[str]:
    """Trimmed; bytes that are no ASCII cannot be a number or a time and only need to stay unreadable."""
    return [(value.decode("latin-1") if isinstance(value, bytes) else value).strip() for value in values.to_pylist()]
