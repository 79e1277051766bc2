"""The best unseen items of every user as one array, for measuring."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from recobatch.blas import one_blas_thread
from recobatch.rated import RatedPairs
from recobatch.scoring.ranker import Ranker, best_of_all

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
    return top_lists_of_all([ranker], rated, k)[0]


def top_lists_of_all(rankers: Sequence[Ranker], rated: RatedPairs, k: int) -> list[np.ndarray]:
    """As ``top_lists`` of each; what rankers by the same interest model have in common is computed once."""
    lists = [np.full((rated.n_users, k), -1, dtype=np.int32) for _ in rankers]

    def fill(start: int) -> None:
        users = slice(start, min(start + _USERS_PER_CALL, rated.n_users))
        for rows, found in zip(lists, best_of_all(rankers, users, rated, k), strict=True):
            rows[found.user_index, found.rank - 1] = found.item_index

    with one_blas_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(0, rated.n_users, _USERS_PER_CALL)))
    return lists
