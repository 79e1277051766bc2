"""Where in a text file a record stands: worked out only when a line has to be named."""

from pathlib import Path

import numpy as np

from recobatch.reading.opening import opened

_CHUNK_BYTES = 1 << 24
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34


def lines_of(path: Path, records: np.ndarray, where: str) -> np.ndarray:
    """Line numbers of records: both count from 1, but empty lines are no records and a quoted field may hold several.

    Args:
        path: Local file, possibly packed.
        records: Places among the records, ascending, shape ``(k,)``.
        where: What to call the file in an error message.

    Returns:
        int64, shape ``(k,)``: the line on which each record starts; the record's own number where the file's lines
        end with bare carriage returns.
    """
    starts = _record_starts(path, where)
    return starts[records - 1] if len(records) and records.max() <= len(starts) else records


def _record_starts(path: Path, where: str) -> np.ndarray:
    starts: list[np.ndarray] = []
    line, quotes, record_open = 1, 0, False
    with opened(path, where) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            block = np.frombuffer(chunk, np.uint8)
            ends = np.flatnonzero(block == _NEWLINE)
            lines = np.arange(line, line + len(ends) + 1)
            # A line is a record of its own unless it is empty or begins between quotation marks.
            begins = np.concatenate(([0], ends + 1))
            stops = np.append(ends, len(block))
            length = stops - begins
            length -= (length == 1) & (block[np.minimum(begins, len(block) - 1)] == _RETURN)
            full = length > 0
            marks = np.flatnonzero(block == _QUOTE)
            inside = ((quotes + np.searchsorted(marks, begins)) % 2) == 1
            first_is_new = full[0] and not record_open and not inside[0]
            chosen = full & ~inside
            chosen[0] = first_is_new
            starts.append(lines[chosen])
            line += len(ends)
            quotes += len(marks)
            record_open = bool(full[-1]) or (len(ends) == 0 and record_open)
    return np.concatenate(starts) if starts else np.zeros(0, np.int64)
