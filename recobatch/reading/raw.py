"""Ratings as they are in a file, before validation."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

NULL_TEXTS = ("", "NULL", "null", "NA", "N/A", "None", "none", "\\N", "<NA>")
"""Texts that mean null in a text file, unless they are quoted."""
NAN_TEXTS = ("nan", "NaN")
"""Likewise of an id; as a rating they are a number that is not finite."""


@dataclass(frozen=True, eq=False)
class Ids:
    """A column of raw ids: distinct values, and for each row which of them it has."""

    codes: np.ndarray
    """int32, shape ``(n,)``: position in ``values``, or ``NULL``, or ``UNREADABLE``."""
    values: pa.Array
    """Distinct ids, int64 or string, without nulls; in no particular order; some may be unused."""

    NULL = -1
    UNREADABLE = -2


@dataclass(frozen=True)
class Unreadable:
    """Text that could not be split into the expected fields."""

    record: int
    """Place among the records of the file, from 1, counting the lines of the header."""
    text: str
    offset: int = 0
    """Lines between the start of the record and this text: a stray quotation mark joins many lines to one record."""


@dataclass(frozen=True, eq=False)
class RawRatings:
    """The columns of a ratings file in file order, ids recoded, numbers parsed, no row left out."""

    users: Ids
    items: Ids
    rating: np.ndarray
    """float64, shape ``(n,)``; NaN where null, unreadable or not a number: see ``rating_state``."""
    rating_state: np.ndarray
    """uint8, shape ``(n,)``: ``VALID``, ``NULL`` or ``UNREADABLE``."""
    timestamp: np.ndarray
    """int64, shape ``(n,)``, Unix seconds; ``NO_TIME`` where null or unreadable."""
    time_state: np.ndarray | None
    """uint8, shape ``(n,)``, as ``rating_state``; None where no time was unreadable."""
    columns: dict[str, str]
    """Which column of the file plays each role (user, item, rating, time)."""
    records: np.ndarray | None = None
    """int64, shape ``(n,)``: place of each row among the file's records, from 1 and with those that are skipped or
    unreadable; None for 1, 2, … n."""
    skipped: int = 0
    """Lines before the first record: a header, and empty lines above it."""
    unreadable: tuple[Unreadable, ...] = field(default=())
    """Records that could not be split into fields."""
    texts: dict[str, pa.ChunkedArray] = field(default_factory=dict)
    """The columns as they were read, by role, for quoting them."""
    unit: str = "line"
    """Name of a record in messages: ``line`` in a text file, ``row`` in a parquet file."""

    VALID = 0
    NULL = 1
    UNREADABLE = 2
    NO_TIME = np.iinfo(np.int64).min

    def __len__(self) -> int:
        return len(self.rating)

    @property
    def n_records(self) -> int:
        """Records in the file, without the lines that are skipped."""
        return len(self) + sum(row.offset == 0 for row in self.unreadable)
