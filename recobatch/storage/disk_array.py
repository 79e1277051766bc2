"""An array on disk that grows at its end and is read in blocks; memory holds one block."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

BLOCK_ROWS = 1 << 20


class DiskArray:
    """One column of numbers."""

    def __init__(self, path: Path, dtype: str) -> None:
        """Begin an empty array in a file of its own, which is overwritten."""
        self.path = path
        self.dtype = np.dtype(dtype)
        self._length = 0
        path.write_bytes(b"")

    def __len__(self) -> int:
        return self._length

    def append(self, values: np.ndarray) -> None:
        """Add values, cast to the array's type: shape ``(n,)``."""
        with self.path.open("ab") as file:
            np.ascontiguousarray(values, dtype=self.dtype).tofile(file)
        self._length += len(values)

    def read(self, start: int, stop: int) -> np.ndarray:
        """The values of a range of rows, as a copy in memory: shape ``(stop - start,)``."""
        size = self.dtype.itemsize
        return np.fromfile(self.path, self.dtype, count=min(stop, self._length) - start, offset=start * size)

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[np.ndarray]:
        """All values in order, in blocks of at most ``rows``."""
        for start in range(0, self._length, rows):
            yield self.read(start, start + rows)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The values of some rows: integers, ascending, shape ``(k,)``."""
        found = np.empty(len(rows), self.dtype)
        bounds = np.searchsorted(rows, np.arange(0, self._length + BLOCK_ROWS, BLOCK_ROWS))
        for number in np.flatnonzero(np.diff(bounds)):
            chosen, start = slice(bounds[number], bounds[number + 1]), int(number) * BLOCK_ROWS
            found[chosen] = self.read(start, start + BLOCK_ROWS)[rows[chosen] - start]
        return found

    def put(self, rows: np.ndarray, value: float) -> None:
        """Overwrite the values of some rows with one value."""
        if len(rows):
            column = np.memmap(self.path, self.dtype, mode="r+")
            column[rows] = value
            column.flush()
