"""Line numbers of records in a text file; computed only when a message needs one."""

import sys
from pathlib import Path

import numpy as np

from recobatch.reading.packed import opened

_CHUNK_BYTES = 1 << 24
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34


def lines_of(path: Path, records: np.ndarray, *, skipped: int, n_records: int, where: str) -> np.ndarray:
    """Line numbers of records: both count from 1; empty lines are not records, and a quoted field may span lines.

    Args:
        path: Local file, possibly packed.
        records: Record numbers, skipped lines included; ascending, shape ``(k,)``.
        skipped: Lines before the first record.
        n_records: Records after those.
        where: Name of the file in error messages.

    Returns:
        int64, shape ``(k,)``: the line on which each record starts. If lines cannot be counted (they end with bare
        carriage returns, for example), the record numbers, which equal the lines of a file without empty lines.
    """
    starts, inside = _line_starts(path, where)
    for candidates in (starts[~inside], starts):
        found = candidates[candidates > skipped]
        if len(found) == n_records:
            return found[records - skipped - 1]
    return records


def _line_starts(path: Path, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the lines that are not empty, and whether each begins between quotation marks."""
    numbers, between = [np.zeros(0, np.int64)], [np.zeros(0, bool)]
    line, quotes, begun = 1, 0, False
    with opened(path, where, sys.maxsize) as stream:  # which was read to its end already
        while chunk := stream.read(_CHUNK_BYTES):
            block = np.frombuffer(chunk, np.uint8)
            ends = np.flatnonzero(block == _NEWLINE)
            begins = np.concatenate(([0], ends + 1))
            length = np.append(ends, len(block)) - begins
            length -= (length == 1) & (block[np.minimum(begins, len(block) - 1)] == _RETURN)
            new = length > 0
            # The first piece may continue the last line of the previous chunk.
            still_begun = begun or bool(new[0])
            new[0] &= not begun
            begun = still_begun if not len(ends) else bool(new[-1])
            marks = np.flatnonzero(block == _QUOTE)
            odd = (quotes + np.searchsorted(marks, begins[new])) % 2 == 1
            numbers.append(line + np.flatnonzero(new))
            between.append(odd)
            line += len(ends)
            quotes += len(marks)
    return np.concatenate(numbers), np.concatenate(between)
