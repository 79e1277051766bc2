"""Raw ids of callers → indices."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from recobatch.errors import BadInput
from recobatch.model_folder import LoadedModel
from recobatch.reading import Frame, as_arrow
from recobatch.reading.columns import known_role
from recobatch.vocabulary import Vocabulary


def known_pairs(
    frame: Frame, columns: Mapping[str, str], model: LoadedModel, *, may_miss: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of a frame by index.

    Args:
        frame: Any object with ``__arrow_c_stream__``.
        columns: Names of the columns in the ratings, by role; a column of another known name is taken too.
        model: Whose users and items they are.
        may_miss: Whether to leave out unknown ids.

    Returns:
        Indices of the users and of the items, int32, shape ``(k,)``, and which rows they are of, bool, shape ``(n,)``.

    Raises:
        BadInput: If a column is missing or ambiguous, or an id is unknown and may not be.
    """
    users, items = read_pairs(frame, columns)
    user = encode_ids(users, model.users, "user", may_miss=may_miss)
    item = encode_ids(items, model.items, "item", may_miss=may_miss)
    known = (user >= 0) & (item >= 0)
    return user[known], item[known], known


def read_pairs(frame: Frame, columns: Mapping[str, str]) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The columns of users and items of a frame.

    Args:
        frame: Any object with ``__arrow_c_stream__``.
        columns: Names of the columns in the ratings, by role; a column of another known name is taken too.

    Raises:
        BadInput: If one of them is missing or ambiguous.
    """
    table = as_arrow(frame, "pairs")
    return table[_column(table.column_names, columns, "user")], table[_column(table.column_names, columns, "item")]


def _column(names: list[str], columns: Mapping[str, str], role: str) -> int:
    for matches in (
        [place for place, name in enumerate(names) if name == columns.get(role)],
        [place for place, name in enumerate(names) if known_role(name) == role],
    ):
        if len(matches) == 1:
            return matches[0]
    shown = ", ".join(map(repr, names[:5])) + (", …" if len(names) > 5 else "")
    raise BadInput(
        f"pairs: found columns {shown}, expected one for the {role} named {columns.get(role, f'{role}_id')!r} as in "
        f"the ratings; rename the column"
    )


def encode_ids(ids: pa.ChunkedArray, vocabulary: Vocabulary, noun: str, *, may_miss: bool) -> np.ndarray:
    """Indices of a column of ids: int32, shape ``(n,)``.

    Args:
        ids: Raw ids.
        vocabulary: The known ones.
        noun: Name of their kind in messages.
        may_miss: Whether to give -1 for unknown ids.

    Raises:
        BadInput: If an id is unknown and may not be, or the ids are of another type.
    """
    if not len(ids):
        return np.zeros(0, dtype=np.int32)
    if pa.types.is_floating(ids.type):  # pandas' column of integers with gaps
        ids = ids.cast(pa.int64(), safe=False)
    if pa.types.is_integer(ids.type) and pa.types.is_string(vocabulary.ids.type):
        ids = ids.cast(pa.string())
    try:
        return vocabulary.find(ids) if may_miss else vocabulary.encode(ids)
    except BadInput as error:
        raise BadInput(f"pairs, {noun}: {error}") from None


def index_of(raw_id: int | str, vocabulary: Vocabulary, noun: str) -> int:
    """Index of one id; text is read as a number where the ids are numbers.

    Raises:
        BadInput: If it is unknown; the message names some that are known.
    """
    wanted: int | str | None = raw_id
    if pa.types.is_integer(vocabulary.ids.type):
        try:
            wanted = int(raw_id)
        except ValueError:
            wanted = None
    else:
        wanted = str(raw_id)
    index = -1 if wanted is None else int(vocabulary.find(pa.array([wanted], vocabulary.ids.type))[0])
    if index < 0:
        some = ", ".join(map(str, vocabulary.ids[:5].to_pylist()))
        raise BadInput(
            f"{noun}: found {raw_id!r}, expected one of the {len(vocabulary):,} {noun}s with ratings (some of them: "
            f"{some}); fit again with ratings of this {noun}"
        )
    return index
