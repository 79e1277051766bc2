"""MovieLens 100k, encoded and split as the notebook did: the figures it printed hold for these rows only."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from recobatch.interactions import EncodedInteractions, Split


@lru_cache(maxsize=1)
def notebook_split(ml100k_dir: Path) -> Split:
    """80,000 and 20,000 rows: the first round(0.8 n) ratings of each user, in file order, train."""
    raw = np.loadtxt(ml100k_dir / "u.data", dtype=np.int64)
    users, items = (np.unique(raw[:, column], return_inverse=True)[1].astype(np.int32) for column in (0, 1))
    counts = np.bincount(users)
    order = np.argsort(users, kind="stable")
    rank = np.empty(len(users), dtype=np.int64)
    rank[order] = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = EncodedInteractions(users, items, raw[:, 2].astype(np.float32), raw[:, 3], len(counts), int(items.max()) + 1)
    train = rank < np.round(0.8 * counts)[users]
    return Split(rows.take(train), rows.take(~train))
