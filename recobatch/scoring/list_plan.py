"""Which users' lists go into a file, and how many rows lists have."""

import numpy as np

from recobatch.rated import RatedPairs
from recobatch.scoring.predictions import LEAST_SHARDS, ScoreOptions
from recobatch.scoring.top import USERS_PER_GROUP

_PAIRS_PER_FILE = 1 << 31
"""Some fifteen seconds of a core: what a killed run loses."""


def plan_lists(n_users: int, n_items: int, k: int, options: ScoreOptions) -> list[slice]:
    """Divide the users into files, as ``plan_shards`` does, where only the best ``k`` items of each are written.

    Returns:
        Ranges of user indices that together cover ``[0, n_users)`` once. A range has at most about
        ``options.rows_per_shard`` rows and ``_PAIRS_PER_FILE`` pairs, but at least the users of a row group.
    """
    rows_per_shard, _ = options.sizes(n_users * n_items)
    limits = (rows_per_shard // max(1, k), _PAIRS_PER_FILE // max(1, n_items), -(-n_users // LEAST_SHARDS))
    step = max(1, min(limits) // USERS_PER_GROUP) * USERS_PER_GROUP
    return [slice(start, min(n_users, start + step)) for start in range(0, n_users, step)]


def n_listed(rated: RatedPairs, k: int) -> int:
    """Rows of the lists of all users: ``k`` each, or as many as have items that they have not rated."""
    return int(np.minimum(k, rated.n_items - np.diff(rated.indptr)).sum())
