"""Check that rows are lists of best items: users in order, ranks from 1 without a gap, no item twice."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.table.manifest import ModelFacts


class ListCheck:
    """Checks rows block by block; a block has whole lists, as they are written."""

    columns = ("user_id", "rank", "item_id", "score")

    def __init__(self) -> None:
        self._last: object = None
        self._rows = 0

    def take(self, block: pa.Table) -> str | None:
        """Check the next rows; returns the problem, if there is one."""
        if not block.num_rows:
            return None
        self._rows += block.num_rows
        user, rank = block["user_id"].combine_chunks(), block["rank"].to_numpy()
        where = f"found lists of users between {user[0]} and {user[-1]}"
        new = np.append(True, pc.not_equal(user[1:], user[:-1]).to_numpy(zero_copy_only=False))
        starts = np.flatnonzero(new)
        if not np.array_equal(rank, np.arange(len(rank)) - np.repeat(starts, np.diff(starts, append=len(rank))) + 1):
            return f"{where} with other ranks than 1, 2, 3, …"
        heads = user.take(pa.array(starts))
        if not pc.all(pc.greater(heads[1:], heads[:-1])).as_py() or not self._follows(heads[0].as_py()):
            return f"{where} out of order, expected each user once"
        self._last = heads[-1].as_py()
        return self._check_lists(block, new, where)

    def finish(self, facts: ModelFacts) -> list[str]:
        """Problems of all rows together: their number."""
        return [] if self._rows == facts.rows else [f"found {self._rows:,} rows, expected {facts.rows:,}"]

    def _follows(self, user: int | str) -> bool:
        return self._last is None or bool(user > self._last)  # type: ignore[operator]

    def _check_lists(self, block: pa.Table, new: np.ndarray, where: str) -> str | None:
        score = block["score"].to_numpy()
        if (score[1:] > score[:-1])[~new[1:]].any():
            return f"{where} whose scores ascend, expected the best first"
        items = block["item_id"].combine_chunks().dictionary_encode()
        key = np.sort(np.cumsum(new) * len(items.dictionary) + items.indices.to_numpy())
        if (key[1:] == key[:-1]).any():
            return f"{where} with an item twice"
        return None
