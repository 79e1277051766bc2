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
        Ranges of user indices that together cover ``[0, n_users)`` once, of the same number of row groups as far as
        possible. A range has at most about ``options.rows_per_shard`` rows and ``_PAIRS_PER_FILE`` pairs, but at least
        the users of a row group.
    """
    rows_per_shard, _ = options.sizes(n_users * n_items)
    most = max(1, min(rows_per_shard // max(1, k), _PAIRS_PER_FILE // max(1, n_items)) // USERS_PER_GROUP)
    groups = -(-n_users // USERS_PER_GROUP)
    ranges = max(1, min(groups, LEAST_SHARDS), -(-groups // most))
    step = -(-groups // ranges) * USERS_PER_GROUP
    return [slice(start, min(n_users, start + step)) for start in range(0, n_users, step)]


def n_listed(rated: RatedPairs, k: int) -> int:
    """Rows of the lists of all users: ``k`` each, or as many as have items that they have not rated."""
    return int(np.minimum(k, rated.n_items - np.diff(rated.indptr)).sum())
