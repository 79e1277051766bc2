"""pandas, Polars, DuckDB and pyarrow read the same table, and it is the table that was computed."""

import json

import numpy as np
import pytest

from recobatch.table import PredictionTable
from tests.consumers.conftest import N_ITEMS, N_USERS
from tests.consumers.tools import CONSUMERS


@pytest.fixture(params=list(CONSUMERS))
def consumer(request):
    return CONSUMERS[request.param]


def test_whole_table(consumer, expected):
    assert consumer.whole(expected.root / "current" / "champion") == expected.checksum("v2")
    assert consumer.dtypes(expected.root / "current" / "champion") == ["int", "int", "float", "bool"]


def test_all_tools_find_the_same(expected):
    folder = expected.root / "current" / "champion"
    assert len({consumer.whole(folder) for consumer in CONSUMERS.values()}) == 1
    assert len({json.dumps(sorted(consumer.top_unseen(folder, 10).items())) for consumer in CONSUMERS.values()}) == 1


@pytest.mark.parametrize("row", [0, 41, N_USERS - 1])
def test_one_user(consumer, expected, row):
    found = consumer.one_user(expected.root / "current" / "champion", expected.user_ids[row])
    items, predictions, rated = zip(*found, strict=True)
    assert list(items) == expected.item_ids
    assert np.array_equal(np.array(predictions, dtype=np.float32), expected.predictions["v2"][row])
    assert list(rated) == expected.rated[row].tolist()


def test_top_ten_unseen_of_every_user(consumer, expected):
    best = consumer.top_unseen(expected.root / "current" / "champion", 10)
    assert best == {user: [item for item, _ in expected.top("v2", user, 10)] for user in expected.user_ids}


def test_published_top_is_the_same_as_computed_from_the_table(expected):
    import duckdb

    rows = duckdb.execute(
        f"select user_id, list(item_id order by rank), list(rank order by rank) "
        f"from '{expected.root}/current/top/model=plain/*.parquet' group by user_id"
    ).fetchall()
    assert {user: items for user, items, _ in rows} == CONSUMERS["duckdb"].top_unseen(
        expected.root / "current" / "champion", 10
    )
    assert all(ranks == list(range(1, 11)) for *_, ranks in rows)


def test_join_with_titles(consumer, expected):
    current = expected.root / "current"
    titles = consumer.with_titles(current / "champion", current / "titles.parquet", expected.user_ids[3])
    assert titles == [f"Film {n}" for n in range(N_ITEMS)]


def test_both_models_of_a_pair(consumer, expected):
    both = consumer.both_models(expected.root / "current" / "table", expected.user_ids[5], expected.item_ids[7])
    value = pytest.approx(float(expected.predictions["v2"][5, 7]), abs=1e-7)
    assert both == {"bias": value, "plain": value}


def test_pin_a_version(consumer, expected):
    pinned = expected.root / "versions" / "v1" / "champion"
    assert consumer.whole(pinned) == expected.checksum("v1") != expected.checksum("v2")


def test_follow_current(consumer, expected):
    table = PredictionTable(expected.root)
    try:
        assert table.rollback().version == "v1"
        assert consumer.whole(expected.root / "current" / "champion") == expected.checksum("v1")
    finally:
        table.rollback("v2")
    assert consumer.whole(expected.root / "current" / "champion") == expected.checksum("v2")


def test_follow_the_pointer_where_there_are_no_links(consumer, expected):
    pointer = json.loads((expected.root / "current.json").read_text())
    assert consumer.whole(expected.root / pointer["table"]) == expected.checksum("v2")
