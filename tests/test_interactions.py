"""Ratings by index: parts of them, and how many every user and item has."""

import numpy as np
import pytest

from recobatch import interactions
from recobatch.interactions import EncodedInteractions


@pytest.fixture
def ratings():
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 7, 100).astype(np.int32), rng.integers(0, 5, 100).astype(np.int32)
    return EncodedInteractions(users, items, rng.random(100, dtype=np.float32), np.arange(100), 8, 6)


@pytest.mark.parametrize("at_once", [1 << 24, 30])
def test_ratings_are_counted_by_user_and_item_in_any_blocks(ratings, monkeypatch, at_once):
    monkeypatch.setattr(interactions, "_ROWS_AT_ONCE", at_once)
    assert ratings.user_counts().tolist() == np.bincount(ratings.user_index, minlength=8).tolist()
    assert ratings.item_counts().tolist() == np.bincount(ratings.item_index, minlength=6).tolist()


def test_times_that_were_not_loaded_take_no_memory_in_a_part_either(ratings, tmp_path):
    ratings.save(tmp_path / "ratings.parquet")
    assert ratings.take(ratings.user_index == 3).timestamp.tolist() == np.flatnonzero(ratings.user_index == 3).tolist()
    part = EncodedInteractions.load(tmp_path / "ratings.parquet", times=False).take(ratings.user_index == 3)
    assert part.timestamp.strides == (0,)
    assert part.timestamp.tolist() == [-1] * len(part)


def test_by_pair_orders_by_user_then_item_and_keeps_the_order_of_equal_pairs():
    user, item = np.array([1, 0, 1, 0], np.int32), np.array([2, 1, 0, 1], np.int32)
    rows = EncodedInteractions(user, item, np.arange(4, dtype=np.float32), np.arange(4) + 10, 2, 3).by_pair()
    assert rows.user_index.tolist() == [0, 0, 1, 1]
    assert rows.item_index.tolist() == [1, 1, 0, 2]
    assert rows.rating.tolist() == [1, 3, 2, 0]
    assert rows.timestamp.tolist() == [11, 13, 12, 10]
