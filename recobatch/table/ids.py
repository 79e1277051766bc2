"""The users and items of a published snapshot."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.errors import BadTable
from recobatch.table.layout import ITEMS, USERS
from recobatch.table.published import Published


def published_users(snapshot: Published) -> pa.Array:
    """Raw ids of the users, distinct; where an earlier release published only lists, of the users that have one.

    Raises:
        BadTable: If the snapshot is damaged.
    """
    with _readable(snapshot):
        return _users(snapshot)


def published_items(snapshot: Published) -> pa.Array:
    """Raw ids of the items, distinct; where an earlier release published only lists, of the items that are in one.

    Raises:
        BadTable: If the snapshot is damaged.
    """
    with _readable(snapshot):
        return _items(snapshot)


@contextmanager
def _readable(snapshot: Published) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, KeyError, IndexError) as error:
        raise BadTable(
            f"{snapshot.location}: found files that cannot be read ({' '.join(str(error).split())[:200]}), expected "
            f"those of the manifest; see recobatch verify, then recobatch rollback"
        ) from error


def _users(snapshot: Published) -> pa.Array:
    if (file := snapshot.file(USERS)) is not None:
        return _distinct("user_id", [file])
    # The best items are fewer rows, but leave out users who have rated everything.
    users = _distinct("user_id", snapshot.parts("top"))
    if snapshot.main == "top":
        return users
    n_users = snapshot.rows[snapshot.champion] // len(_items(snapshot))
    return users if len(users) == n_users else _distinct("user_id", snapshot.parts("table"))


def _distinct(column: str, parts: Sequence[Path | pa.NativeFile]) -> pa.Array:
    distinct = [
        pc.unique(batch[column])
        for file in parts
        for batch in pq.ParquetFile(file).iter_batches(1 << 20, columns=[column])
    ]
    return pc.unique(pa.chunked_array(distinct)) if distinct else pa.array([])


def _items(snapshot: Published) -> pa.Array:
    """Without a file of items those of the first user, which are all items."""
    if (file := snapshot.file(ITEMS)) is not None:
        return _distinct("item_id", [file])
    if snapshot.main == "top":
        return _distinct("item_id", snapshot.parts("top"))
    first = pq.ParquetFile(snapshot.parts("table")[0])
    items: list[pa.Array] = []
    user = None
    for batch in first.iter_batches(columns=["user_id", "item_id"]):
        user = batch["user_id"][0] if user is None else user
        of_user = pc.equal(batch["user_id"], user)
        items.append(batch["item_id"].filter(of_user))
        if not of_user[-1].as_py():
            break
    return pa.chunked_array(items).combine_chunks()
