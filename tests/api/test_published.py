"""Published tables read from Python: look-ups, and what changed between versions."""

import pytest

import recobatch as rb
from recobatch.errors import BadInput, BadTable
from recobatch.table import open_table
from tests.support.small_table import make_model, make_rated, publish, write_inputs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    table, rated = open_table(folder / "table"), make_rated(20, 15)
    for version, seed in (("v1", 1), ("v2", 5)):
        inputs = write_inputs(folder / version, make_model(20, 15, seed=seed), rated=rated)
        publish(table, version, inputs, names=("first", "plain"), top=4)
    return folder / "table"


def test_a_users_list_and_predictions(root):
    table = rb.read_table(root)
    assert (table.version, table.champion, table.models) == ("v2", "plain", ["first", "plain"])
    every = table.user(13)
    assert every.num_rows == 15
    best = table.top("13", k=3)
    assert best["rank"].to_pylist() == [1, 2, 3]
    assert set(best["item_id"].to_pylist()) <= set(every["item_id"].to_pylist())
    assert table.top(13, k=15, unseen_only=False, model="first").num_rows == 15
    with pytest.raises(BadInput, match="found 99"):
        table.user(99)
    with pytest.raises(BadTable, match="no model 'other'"):
        table.top(13, model="other")


def test_changes_turn_the_old_lists_into_the_new_ones(root):
    table, old = rb.read_table(root), rb.read_table(root, version="v1")
    changes = table.changes("v1")
    assert changes.column_names == ["user_id", "item_id", "change", "rank", "rank_before", "score"]
    for user in (10, 13, 67):
        lists = {row["item_id"]: row["rank"] for row in old.top(user, k=4).to_pylist()}
        for row in changes.to_pylist():
            if row["user_id"] == user:
                assert row["change"] in ("entered", "left", "moved")
                assert lists.get(row["item_id"]) == row["rank_before"]
                if row["rank"] is None:
                    del lists[row["item_id"]]
                else:
                    lists[row["item_id"]] = row["rank"]
        assert lists == {row["item_id"]: row["rank"] for row in table.top(user, k=4).to_pylist()}
    assert table.changes("v2").num_rows == 0


def test_a_version_stays_what_it_was(root):
    pinned = rb.read_table(root, version="v1")
    assert pinned.version == "v1"
    assert not pinned.user(13).equals(rb.read_table(root).user(13))
    with pytest.raises(BadTable, match="no version v9"):
        pinned.changes("v9")
