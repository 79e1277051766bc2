"""Changes from version to version, and the proof that they lead from one's lists to the other's."""

import itertools
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.errors import BadInput, BadTable
from recobatch.table import open_table
from recobatch.table.changes import changes_between, check_changes, lists_of, save_changes, write_changes
from tests.support.small_table import make_ids, make_model, publish, write_inputs

pytestmark = pytest.mark.slow


def publish_two(root, *, text=(False, False), seeds=(1, 2), sizes=((30, 20), (30, 20)), top=5, keep=3):
    table = open_table(root / "predictions")
    snapshots = []
    for number, (is_text, seed, (n_users, n_items)) in enumerate(zip(text, seeds, sizes, strict=True)):
        ids = {"users": make_ids(n_users, text=is_text), "items": make_ids(n_items, text=is_text)}
        inputs = write_inputs(root / f"in{number}", make_model(n_users, n_items, seed=seed), **ids)
        snapshots.append(publish(table, f"v{number + 1}", inputs, top=top, keep=keep))
    return table, *snapshots


def lists(snapshot):
    found = {}
    for row in pq.read_table(snapshot.parts("top")[0], partitioning=None).to_pylist():
        found.setdefault(row["user_id"], {})[row["item_id"]] = (row["rank"], row["score"])
    return found


def brute_force(before, now):
    rows = []
    for user in sorted(before.keys() | now.keys()):
        old, new = before.get(user, {}), now.get(user, {})
        for item in old.keys() | new.keys():
            rank, score = new.get(item, (None, None))
            rank_before = old.get(item, (None,))[0]
            if rank != rank_before:
                change = "entered" if rank_before is None else "left" if rank is None else "moved"
                rows.append((user, item, change, rank, rank_before, score))
    return sorted(rows, key=lambda row: (row[0], row[3] or 10**9, row[4] or 0))


def stored(snapshot):
    (file,) = snapshot.files("changes")
    return pq.read_table(file, partitioning=None)


@pytest.mark.parametrize("text", [False, True], ids=["integers", "texts"])
@pytest.mark.parametrize("sizes", [((30, 20), (30, 20)), ((30, 20), (45, 26)), ((45, 26), (30, 20))])
def test_changes_are_what_differs(tmp_path, text, sizes):
    _, first, second = publish_two(tmp_path, text=(text, text), sizes=sizes)
    assert first.files("changes") == []
    changes = stored(second)
    assert [tuple(row.values()) for row in changes.to_pylist()] == brute_force(lists(first), lists(second))
    assert {"entered", "left", "moved"} == set(changes["change"].to_pylist())
    assert changes.schema.names == ["user_id", "item_id", "change", "rank", "rank_before", "score"]
    about = {key.decode(): value.decode() for key, value in changes.schema.metadata.items()}
    assert about | {"version": "v2", "since": "v1", "model": "plain", "model_before": "plain"} == about
    assert check_changes(first, second) == []


def test_the_manifest_lists_them_and_verify_applies_them(tmp_path):
    table, _, second = publish_two(tmp_path)
    assert "changes/part-00000-v2.parquet" in {entry.path for entry in second.manifest.files}
    assert table.verify().ok


def test_verify_finds_changes_that_do_not_lead_to_the_lists(tmp_path, monkeypatch):
    """As they would be if they had been made from other lists."""
    monkeypatch.setattr("recobatch.table.changes._compare", lambda before, now, schema: schema.empty_table())
    table, _, _ = publish_two(tmp_path)
    (problem,) = table.verify().problems
    assert "changes: found changes that do not turn the lists of version v1 into those of v2" in problem


def test_verify_does_without_the_version_before(tmp_path):
    table, _, second = publish_two(tmp_path, keep=1)
    assert len(table.snapshots()) == 1
    assert second.files("changes")
    assert table.verify().ok


def test_the_same_lists_have_no_changes(tmp_path):
    _, _, second = publish_two(tmp_path, seeds=(1, 1))
    assert stored(second).num_rows == 0


def test_there_are_none_without_lists_or_with_ids_of_another_type(tmp_path):
    _, _, second = publish_two(tmp_path / "none", top=0)
    assert second.files("changes") == []
    table, first, second = publish_two(tmp_path / "types", text=(False, True))
    assert second.files("changes") == []
    assert table.verify().ok
    with pytest.raises(BadTable, match="found ids of another type than in version v1"):
        lists_of(first, second)


def test_a_damaged_version_before_prevents_no_publish(tmp_path):
    table, first, _ = publish_two(tmp_path)
    part = table.snapshot().parts("top")[0]
    part.write_bytes(b"PAR1")
    inputs = write_inputs(tmp_path / "in3", make_model(30, 20, seed=3))
    third = publish(table, "v3", inputs, top=5)
    assert third.files("changes") == []
    with pytest.raises(BadTable, match="found a file that cannot be read"):
        list(changes_between(first.parts("top"), [part]))


LISTS = st.dictionaries(st.integers(0, 12), st.lists(st.integers(0, 8), unique=True, max_size=5), max_size=8)


def write_lists(path, ranked, group):
    rows = [
        {"user_id": user, "rank": rank, "item_id": item, "score": float(9 - rank), "prediction": 1.0}
        for user in sorted(ranked)
        for rank, item in enumerate(ranked[user], 1)
    ]
    schema = pa.schema({
        "user_id": pa.int64(), "rank": pa.int32(), "item_id": pa.int64(), "score": pa.float32(),
        "prediction": pa.float32(),
    })  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=group)
    return [path]


@given(LISTS, LISTS, st.integers(1, 7), st.integers(1, 7), st.sampled_from([1, 20, 1 << 18]))
def test_any_lists_are_compared_in_any_bands(tmp_path_factory, before, now, group_before, group_now, cells):
    folder = tmp_path_factory.mktemp("lists")
    files = write_lists(folder / "a.parquet", before, group_before), write_lists(folder / "b.parquet", now, group_now)
    with patch("recobatch.table.changes._CELLS", cells):
        found = pa.concat_tables(changes_between(*files)).to_pylist()
    as_lists = [
        {user: {item: (rank, float(9 - rank)) for rank, item in enumerate(items, 1)} for user, items in one.items()}
        for one in (before, now)
    ]
    assert [tuple(row.values()) for row in found] == brute_force(*as_lists)
    applied = {(user, item): rank for user, one in as_lists[0].items() for item, (rank, _) in one.items()}
    for row in found:
        applied.pop((row["user_id"], row["item_id"]), None)
        if row["change"] != "left":
            applied[row["user_id"], row["item_id"]] = row["rank"]
    assert applied == {(user, item): rank for user, one in as_lists[1].items() for item, (rank, _) in one.items()}


@pytest.mark.parametrize("name", ["changes.csv", "changes.parquet"])
def test_changes_are_saved_whole_or_not_at_all(tmp_path, name):
    _, first, second = publish_two(tmp_path)
    target = tmp_path / "out" / name
    target.parent.mkdir()
    save_changes(changes_between(*lists_of(first, second)), target)
    read = pa.csv.read_csv(target) if name.endswith("csv") else pq.read_table(target)
    assert read.num_rows == stored(second).num_rows
    with pytest.raises(ZeroDivisionError):
        save_changes((each if number < 1 else 1 / 0 for number, each in zip(itertools.count(), [read, read])), target)
    assert [path.name for path in target.parent.iterdir()] == [name]
    assert (pa.csv.read_csv(target) if name.endswith("csv") else pq.read_table(target)).equals(read)


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"--to: found .changes\.xlsx., expected a name that ends in"):
        save_changes(iter([pa.table({"a": np.arange(2)})]), tmp_path / "changes.xlsx")


def test_a_first_version_has_none(tmp_path):
    assert write_changes(tmp_path, "v1", None, [], {}) is None
