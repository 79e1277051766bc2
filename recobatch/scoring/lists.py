"""The best unseen items of every user as one array, for measuring."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from recobatch.rated import RatedPairs
from recobatch.scoring.kernel import one_blas_thread
from recobatch.scoring.ranker import Ranker

_USERS_PER_CALL = 512


def top_lists(ranker: Ranker, rated: RatedPairs, k: int) -> np.ndarray:
    """Rank the unrated items of all users, some users at a time in threads.

    Args:
        ranker: What to rank by.
        rated: Pairs to leave out: the training ratings where the lists are to be measured.
        k: Length of the lists.

    Returns:
        Item indices, int32, shape ``(n_users, k)``, best first; -1 after the last of a user with fewer items.
    """
    lists = np.full((rated.n_users, k), -1, dtype=np.int32)

    def fill(start: int) -> None:
        found = ranker.best(slice(start, min(start + _USERS_PER_CALL, rated.n_users)), rated, k)
        lists[found.user_index, found.rank - 1] = found.item_index

    with one_blas_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(0, rated.n_users, _USERS_PER_CALL)))
    return lists
