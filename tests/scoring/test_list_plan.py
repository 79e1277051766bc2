import numpy as np
import pytest

from recobatch.rated import RatedPairs
from recobatch.scoring.list_plan import n_listed, plan_lists
from recobatch.scoring.predictions import ScoreOptions
from recobatch.scoring.top import USERS_PER_GROUP


@pytest.mark.parametrize(
    ("n_users", "n_items", "n_files"),
    [(1, 5, 1), (9_000, 100, 3), (71_567, 10_681, 4), (1_000_000, 200_000, 98), (500_000, 10**7, 245)],
)
def test_files_cover_every_user_once_in_whole_row_groups(n_users, n_items, n_files):
    ranges = plan_lists(n_users, n_items, 100, ScoreOptions())
    assert len(ranges) == n_files
    assert [each.start for each in ranges] == [0, *(each.stop for each in ranges[:-1])]
    assert ranges[-1].stop == n_users
    assert all((each.stop - each.start) % USERS_PER_GROUP == 0 for each in ranges[:-1])


def test_lists_are_as_long_as_there_are_unseen_items():
    rated = RatedPairs(np.array([0, 0, 4, 5]), np.array([0, 1, 2, 3, 2], np.int32), 4)
    assert n_listed(rated, 3) == 3 + 0 + 3
    assert n_listed(rated, 100) == 4 + 0 + 3
