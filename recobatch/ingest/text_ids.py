"""Where the ids of a column turn out to be text: one of them makes text of all the others."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.reading import Ids, RawRatings

CANONICAL_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
"""Texts that are integers as they are written: ``7``, not ``007`` nor ``+7``."""
_SHOWN = 40


def first_text_ids(raw: RawRatings, reason: np.ndarray, where: str) -> Mapping[str, str]:
    """The first valid id of each column that is no integer, with its place, for messages.

    Args:
        raw: The rows of a file.
        reason: 0 for the valid ones: shape ``(len(raw),)``.
        where: Name of the file.

    Returns:
        ``user`` and ``item`` → such as ``'x7' (ratings.csv, line 17)``; empty lines are not counted. A column without
        such an id is left out.
    """
    found = {}
    for role, ids in (("user", raw.users), ("item", raw.items)):
        if (row := _first_row(ids, reason)) is not None:
            record = row + 1 if raw.records is None else int(raw.records[row])
            shown = repr(ids.values[int(ids.codes[row])].as_py()[:_SHOWN])
            found[role] = f"{shown} ({where}, {raw.unit} {record})"
    return found


def _first_row(ids: Ids, reason: np.ndarray) -> int | None:
    if not pa.types.is_string(ids.values.type):
        return None
    is_text = ~pc.match_substring_regex(ids.values, CANONICAL_INTEGER).to_numpy(zero_copy_only=False)
    if not is_text.any():
        return None
    rows = np.append(is_text, False)[np.maximum(ids.codes, -1)] & (reason == 0)
    return int(rows.argmax()) if rows.any() else None
