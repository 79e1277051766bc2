"""How much of their best items the users' new lists share with the published ones."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.errors import BadTable
from recobatch.vocabulary import Vocabulary


def mean_overlap(
    new: Sequence[Path | pa.NativeFile],
    published: Sequence[Path | pa.NativeFile],
    *,
    users: Vocabulary,
    items: Vocabulary,
    k: int = 10,
) -> float | None:
    """Mean share of common items among the best ``k`` of the users that have a list in both.

    Args:
        new: Files of lists, of ``top_schema`` or an earlier one.
        published: Likewise.
        users: Ids of the new lists.
        items: Ids of the new lists.
        k: Length of the lists; a shorter one counts as it is, the longer of the two being the whole.

    Returns:
        Within [0, 1]; None if no user has a list in both.

    Raises:
        BadTable: If a file cannot be read.
    """
    with ThreadPoolExecutor(2) as pool:
        sides = [*pool.map(lambda files: _pairs(files, users, items, k), (new, published))]
    lengths = np.array([np.bincount(user, minlength=len(users)) for user, _ in sides])
    both = (lengths > 0).all(axis=0)
    if not both.any():
        return None
    new_keys, old_keys = (user[item >= 0] * np.int64(len(items)) + item[item >= 0] for user, item in sides)
    common = np.intersect1d(new_keys, old_keys, assume_unique=True)  # sorts once, several times as fast as isin
    shared = np.bincount(common // len(items), minlength=len(users))
    return float((shared[both] / lengths.max(axis=0)[both]).mean())


def _pairs(
    files: Sequence[Path | pa.NativeFile], users: Vocabulary, items: Vocabulary, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """User and item index of every place up to ``k``, -1 for an unknown item; rows of unknown users are left out."""
    found_users, found_items = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    try:
        for file in files:
            rows = pq.ParquetFile(file).read(columns=["user_id", "rank", "item_id"])
            rows = rows.filter(pa.array(rows["rank"].to_numpy() <= k))
            user = _find(users, rows["user_id"])
            found_users.append(user[user >= 0])
            found_items.append(_find(items, rows["item_id"])[user >= 0])
    except (OSError, pa.ArrowException, KeyError) as error:
        raise BadTable(
            f"lists: found a file that cannot be read ({error}), expected parquet as it was published; see recobatch "
            f"verify"
        ) from error
    return np.concatenate(found_users), np.concatenate(found_items)


def _find(vocabulary: Vocabulary, ids: pa.ChunkedArray) -> np.ndarray:
    """Index of each id, -1 for unknown ones; ids of another type are all unknown."""
    ids = ids.combine_chunks()
    if pa.types.is_integer(ids.type) != pa.types.is_integer(vocabulary.ids.type):
        return np.full(len(ids), -1)
    return vocabulary.find(ids.cast(vocabulary.ids.type))
