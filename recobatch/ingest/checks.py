"""Which rows are valid, and the reason against each of the others."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.ingest.options import IngestOptions
from recobatch.quarantine import LARGEST_RATING, Reason
from recobatch.reading import Ids, RawRatings


def validate_rows(raw: RawRatings, options: IngestOptions) -> np.ndarray:
    """Check every row.

    Returns:
        A ``Reason`` for each row, uint8, shape ``(len(raw),)``; ``VALID`` for rows to keep.
    """
    reason = validate_each(raw, options)
    valid = np.flatnonzero(reason == 0)
    key = raw.users.codes[valid].astype(np.int64) * max(len(raw.items.values), 1) + raw.items.codes[valid]
    reason[valid[superseded(key, lambda rows: raw.timestamp[valid[rows]])]] = Reason.DUPLICATE
    return reason


def validate_each(raw: RawRatings, options: IngestOptions) -> np.ndarray:
    """As ``validate_rows``, each row by itself: duplicates count as valid."""
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
    return reason


def superseded(key: np.ndarray, times_of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Rows whose pair occurs again with a later time, or with the same time further down.

    Args:
        key: A number for the pair of each row: int64, shape ``(n,)``, in file order.
        times_of: Gives the times of some rows, ascending numbers from 0 to n - 1.

    Returns:
        Row numbers, in no particular order.
    """
    ascending = np.sort(key)
    doubled = np.unique(ascending[1:][ascending[1:] == ascending[:-1]])
    if not len(doubled):
        return doubled
    rows = np.flatnonzero(pc.is_in(pa.array(key), value_set=pa.array(doubled)).to_numpy(zero_copy_only=False))
    rows = rows[np.lexsort((times_of(rows), key[rows]))]  # stable: ties stay in file order
    return rows[:-1][key[rows[:-1]] == key[rows[1:]]]
