"""Check that rows are every pair of two vocabularies, exactly once and in order; in one pass and little memory."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.table.manifest import ModelFacts
from recobatch.vocabulary import Vocabulary


class PairCheck:
    """Checks rows block by block: every user must have the first user's items, and fingerprints check the rest."""

    columns = ("user_id", "item_id")

    def __init__(self) -> None:
        self._users: list[pa.Array] = []
        self._items: pa.Array | None = None
        self._rest: pa.Table | None = None
        self._rows = 0

    def take(self, block: pa.Table) -> str | None:
        """Check ``user_id`` and ``item_id`` of the next rows; returns the problem, if there is one."""
        self._rows += block.num_rows
        rows = block if self._rest is None else pa.concat_tables([self._rest, block])
        if self._items is None:
            self._items = _items_of_first_user(rows)
        return self._consume(rows)

    def finish(self, facts: ModelFacts) -> list[str]:
        """Problems of all rows together: their number, their users, their items."""
        if self._items is None and self._rest is not None:  # one user only: no next user marks its end
            self._items = self._rest["item_id"].combine_chunks()
            self._consume(self._rest)
        problems = []
        if self._rest is not None and self._rest.num_rows:
            problems.append("found a last user with too few items")
        if self._rows != facts.rows:
            problems.append(f"found {self._rows:,} rows, expected {facts.rows:,}")
        if self._items is not None and Vocabulary(self._items).fingerprint != facts.items_fingerprint:
            problems.append(f"found {len(self._items):,} items that are not those of the model's vocabulary")
        if self._users and Vocabulary(pa.concat_arrays(self._users)).fingerprint != facts.users_fingerprint:
            count = sum(map(len, self._users))
            problems.append(f"found {count:,} users that are not those of the model's vocabulary")
        return problems

    def _consume(self, rows: pa.Table) -> str | None:
        """Check the complete users at the front of ``rows`` and keep the rest for the next block."""
        if self._items is None or not len(self._items):
            self._rest = rows
            return None
        n_items, whole = len(self._items), rows.num_rows // len(self._items)
        self._rest = rows.slice(whole * n_items)
        if not whole:
            return None
        block = rows.slice(0, whole * n_items).combine_chunks()
        users, items = block["user_id"].chunk(0), block["item_id"].chunk(0)
        heads = users.take(pa.array(np.arange(whole) * n_items))
        where = f"found users between {heads[0]} and {heads[-1]}"
        if not users.equals(heads.take(pa.array(np.repeat(np.arange(whole), n_items)))):
            return f"{where} without {n_items:,} rows each, expected all items once"
        if not items.equals(self._items.take(pa.array(np.tile(np.arange(n_items), whole)))):
            return f"{where} with other items, expected all items once, in order"
        self._users.append(heads)
        return None


def _items_of_first_user(rows: pa.Table) -> pa.Array | None:
    """Items of the first user, once rows of the next user are there."""
    if not rows.num_rows:
        return None
    users = rows["user_id"].combine_chunks()
    end = pc.index(pc.not_equal(users, users[0]), True).as_py()
    return rows["item_id"].combine_chunks().slice(0, end) if end >= 0 else None
