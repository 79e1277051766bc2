"""Which users and items a published snapshot knows."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.table.snapshots import Snapshot


def published_users(snapshot: Snapshot) -> pa.Array:
    """Raw ids of the users, distinct; from the best items where there are some, for they are fewer rows."""
    files = sorted(snapshot.top_path().glob("*.parquet")) or sorted(snapshot.table_path().glob("*.parquet"))
    distinct = [
        pc.unique(batch["user_id"])
        for file in files
        for batch in pq.ParquetFile(file).iter_batches(1 << 20, columns=["user_id"])
    ]
    return pc.unique(pa.chunked_array(distinct))


def published_items(snapshot: Snapshot) -> pa.Array:
    """Raw ids of the items, distinct: those of the first user, for every user has them all."""
    first = pq.ParquetFile(sorted(snapshot.table_path().glob("*.parquet"))[0])
    items: list[pa.Array] = []
    user = None
    for batch in first.iter_batches(columns=["user_id", "item_id"]):
        user = batch["user_id"][0] if user is None else user
        of_user = pc.equal(batch["user_id"], user)
        items.append(batch["item_id"].filter(of_user))
        if not of_user[-1].as_py():
            break
    return pa.chunked_array(items).combine_chunks()
