"""MovieLens 100k, encoded and split as the notebook did: the figures it printed hold for these rows only."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from recobatch.interactions import EncodedInteractions, Split
from recobatch.split import SplitOptions, split


@lru_cache(maxsize=1)
def notebook_split(ml100k_dir: Path) -> Split:
    """80,000 and 20,000 rows: the first round(0.8 n) ratings of each user, in file order, train."""
    raw = np.loadtxt(ml100k_dir / "u.data", dtype=np.int64)
    users, items = (np.unique(raw[:, column], return_inverse=True)[1].astype(np.int32) for column in (0, 1))
    rows = EncodedInteractions(
        users, items, raw[:, 2].astype(np.float32), raw[:, 3], int(users.max()) + 1, int(items.max()) + 1
    )
    return split(rows, SplitOptions())
