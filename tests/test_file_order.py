"""The order of a file within users decides how it is split."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from recobatch.file_order import FileOrder, find_order
from recobatch.interactions import EncodedInteractions
from recobatch.sources.movielens import fetch
from recobatch.sources.titles import title_order
from recobatch.split import SplitOptions, split, split_file
from recobatch.vocabulary import Vocabulary
from tests.support.movielens import CACHE

pytestmark = pytest.mark.slow

AUTO = SplitOptions(method="auto", seed=3)


@pytest.fixture(scope="module")
def shuffled():
    """Ratings in no order, at times in another one."""
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((80, 60)) < 0.4)
    order = rng.permutation(len(user))
    return EncodedInteractions(
        user[order].astype(np.int32), item[order].astype(np.int32), rng.integers(1, 11, len(user)).astype(np.float32),
        rng.permutation(len(user)), 80, 60,
    )  # fmt: skip


def by(ratings, column, descending=False):
    key = -column if descending else column
    return ratings.take(np.lexsort((key, ratings.user_index)))


@pytest.mark.parametrize("descending", [False, True])
def test_a_sorted_file_is_noticed(shuffled, descending):
    titles = np.random.default_rng(5).permutation(60)
    keys = {"item id": shuffled.item_index, "rating": shuffled.rating, "title": titles[shuffled.item_index]}
    for name, key in keys.items():
        found = find_order([by(shuffled, key.astype(np.int64), descending)], titles)
        assert found == FileOrder(name, has_times=True)
    assert find_order([shuffled], titles).sorted_by is None


def test_an_unsorted_file_keeps_its_split(shuffled, tmp_path):
    expected = split(shuffled, SplitOptions(method="stratified"))
    assert split(shuffled, AUTO).test.fingerprint == expected.test.fingerprint
    shuffled.save(tmp_path / "ratings.parquet")
    split_file(tmp_path / "ratings.parquet", AUTO, tmp_path)
    assert EncodedInteractions.load(tmp_path / "test.parquet").fingerprint == expected.test.fingerprint


def test_a_sorted_copy_is_split_by_time_or_else_shuffled(shuffled):
    in_order = by(shuffled, shuffled.item_index)
    timed = split(in_order, AUTO)
    assert timed.test.fingerprint == split(in_order, SplitOptions(method="chronological")).test.fingerprint
    latest = {user: timed.train.timestamp[timed.train.user_index == user].max() for user in range(80)}
    assert all(time > latest[user] for user, time in zip(timed.test.user_index, timed.test.timestamp, strict=True))
    for unknown in (np.full(len(in_order), -1), np.full(len(in_order), 5)):
        untimed = replace(in_order, timestamp=unknown)
        expected = split(untimed, SplitOptions(method="random", seed=3))
        assert split(untimed, AUTO).test.fingerprint == expected.test.fingerprint


def test_other_groups_and_few_or_equal_ratings_keep_file_order(shuffled):
    in_order = by(shuffled, shuffled.item_index)
    assert AUTO.model_copy(update={"by": "all"}).resolved(find_order([in_order])).method == "stratified"
    few = in_order.take(in_order.item_index < 4)
    assert find_order([few]).sorted_by is None
    assert find_order([]) == FileOrder(None, has_times=False)
    equal = replace(shuffled, rating=np.full(len(shuffled), 3, np.float32))
    assert find_order([equal]).sorted_by is None


def test_the_order_does_not_depend_on_the_blocks(shuffled):
    in_order = by(shuffled, shuffled.item_index)
    blocks = [in_order.take(rows) for rows in np.array_split(np.arange(len(in_order)), 7)]
    assert find_order(blocks) == find_order([in_order])


def test_items_have_the_places_of_their_titles():
    items = Vocabulary.build(pa.array([10, 20, 30, 40]))
    table = pa.table({"item_id": [30, 10, 20, 99], "title": ["A", "C", "B", "Z"]})
    assert title_order(table, items).tolist() == [3, 2, 1, -1]
    assert title_order(table.set_column(0, "item_id", pa.array(["a", "b", "c", "d"])), items) is None


def test_movielens_is_in_no_order():
    rows = np.loadtxt(fetch(CACHE)[0], dtype=np.int64)
    ratings = EncodedInteractions(
        rows[:, 0].astype(np.int32), rows[:, 1].astype(np.int32), rows[:, 2].astype(np.float32), rows[:, 3], 944, 1683
    )
    assert find_order([ratings]) == FileOrder(None, has_times=True)
