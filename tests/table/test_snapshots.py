"""Retention, roll-back, cleaning, and a pointer that never misleads."""

import json
import shutil

import pytest

from recobatch.errors import BadSettings, BadTable
from recobatch.table import open_table
from tests.support.small_table import publish

pytestmark = pytest.mark.slow


def versions(table):
    return [snapshot.version for snapshot in table.snapshots()]


@pytest.fixture
def five(table, inputs):
    """v9, v8, v7, v6, v5: names descend while time ascends."""
    for version in ("v9", "v8", "v7", "v6", "v5"):
        publish(table, version, inputs, keep=10)
    return table


def test_order_is_that_of_publishing(five):
    assert versions(five) == ["v9", "v8", "v7", "v6", "v5"]
    assert [snapshot.sequence for snapshot in five.snapshots()] == [1, 2, 3, 4, 5]


def test_retention_keeps_the_newest(five):
    assert five.retain(3) == ["v9", "v8"]
    assert versions(five) == ["v7", "v6", "v5"]
    assert five.retain(3) == []


def test_retention_never_takes_the_current_one(five):
    five.rollback("v9")
    assert five.retain(1) == ["v5", "v8", "v7", "v6"], "what was rolled back first, then the oldest"
    assert versions(five) == ["v9"]
    assert five.verify().version == "v9"


def test_retention_leaves_at_least_one(five):
    with pytest.raises(BadSettings, match=r"table\.keep: found 0, expected at least 1"):
        five.retain(0)
    assert len(versions(five)) == 5


def test_publishing_retains(five, inputs):
    publish(five, "v4", inputs, keep=2)
    assert versions(five) == ["v5", "v4"]


def test_sequence_goes_on_after_a_rollback_and_retention(five, inputs):
    five.rollback("v8")
    publish(five, "v4", inputs, keep=1)
    assert five.current().sequence == 6
    assert versions(five) == ["v4"]


def test_rollback_goes_one_back_by_default(five):
    assert [five.rollback().version for _ in range(4)] == ["v6", "v7", "v8", "v9"]
    with pytest.raises(BadTable, match="found no snapshot older than v9"):
        five.rollback()
    assert five.current().version == "v9"
    assert five.rollback("v5").version == five.current().version == "v5"
    assert json.loads((five.root / "current.json").read_text())["version"] == "v5"


def test_what_the_table_was_pointed_back_from(five, inputs):
    def back():
        return [snapshot.version for snapshot in five.rolled_back()]

    assert back() == []
    five.rollback("v7")
    assert back() == ["v5"], "nobody was shown v6 of late"
    five.rollback("v8")
    assert back() == ["v7", "v5"]
    five.rollback("v6")
    assert back() == ["v7", "v5"]
    five.rollback("v7")
    assert back() == ["v6", "v5"], "to name a version lifts its mark"
    publish(five, "v4", inputs, keep=6)
    assert back() == ["v6", "v5"]
    publish(five, "v3", inputs, keep=2)
    assert versions(five) == ["v4", "v3"]
    assert back() == ["v6", "v5"], "known, though no longer kept"


def test_rollback_to_an_unknown_version_names_those_there_are(five):
    with pytest.raises(BadTable, match="found no version v1, expected one of v5, v6, v7, v8, v9; pass one of them"):
        five.rollback("v1")
    assert five.current().version == "v5"


def test_rollback_to_a_damaged_snapshot_is_refused(five):
    part = next((five.root / "versions" / "v6" / "table").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(BadTable, match=r"v6: found a damaged snapshot \(table/model=plain/.* the table stays as it is"):
        five.rollback()
    assert five.current().version == "v5"


def test_clean_removes_what_dead_runs_left(five):
    staging = five.stage("v1")
    staging.shard_path("plain", 0).write_bytes(b"half")
    (five.root / ".trash-v0-12ab").mkdir()
    (five.root / ".trash-v0-12ab" / "x").touch()
    (five.root / ".tmp-current-12ab").symlink_to("versions/gone")
    assert len(five.clean()) == 3
    assert {path.name for path in five.root.iterdir()} == {
        "versions",
        "current",
        "current.json",
        ".lock",
        ".recobatch-table",
    }
    assert five.verify().ok


def test_the_link_is_the_newer_and_clean_mends_the_file(five):
    """A writer died between moving the link and writing the file, here that of a rollback."""
    (five.root / "current").unlink()
    (five.root / "current").symlink_to("versions/v7")
    assert five.store.read_catalog()[0].version == five.current().version == "v7"
    five.clean()
    pointer = json.loads((five.root / "current.json").read_text())
    assert pointer == pointer | {
        "version": "v7", "champion": "plain", "table": "versions/v7/table/model=plain", "sequence": 3,
        "rolled_back": {"v5": {"sequence": 5, "parent": "v6", "inputs": None}},
    }  # fmt: skip
    assert [snapshot.version for snapshot in five.rolled_back()] == ["v5"]


def test_without_a_link_the_file_is_the_pointer(five, tmp_path):
    copy = open_table(tmp_path / "copy")
    shutil.copytree(five.root, copy.root, symlinks=True)
    (copy.root / "current").unlink()
    assert copy.current().version == "v5"
    (copy.root / "current.json").write_text("[]")
    with pytest.raises(BadTable, match=r"current\.json: found no readable pointer"):
        copy.current()


def test_a_pointer_to_nothing_says_how_to_go_on(five):
    shutil.rmtree(five.root / "versions" / "v5")
    with pytest.raises(BadTable, match=r"pointing at version v5, which is not there.*recobatch rollback VERSION"):
        five.current()
    assert five.rollback("v6").version == five.current().version == "v6"


@pytest.mark.parametrize("edit", [
    lambda text: text.replace('"rows": 2400', '"rows": 2401'),
    lambda text: text.replace('"champion": "plain"', '"champion": "other"'),
    lambda text: text[: len(text) // 2],
    lambda _: "[]",
    lambda _: "",
])  # fmt: skip
def test_a_manifest_edited_by_hand_is_told(five, inputs, edit):
    path = five.root / "versions" / "v5" / "manifest.json"
    path.write_text(edit(path.read_text()))
    with pytest.raises(BadTable, match=r"v5/manifest\.json: found .*roll back to another snapshot"):
        five.current()
    with pytest.raises(BadTable, match=r"manifest\.json"):
        five.verify()
    assert versions(five) == ["v9", "v8", "v7", "v6"]
    publish(five, "v4", inputs, keep=2)
    assert five.current().sequence == 6, "the pointer remembers the number that the manifest lost"
    assert (five.root / "versions" / "v5").exists(), "left for a person to look at"


def test_a_renamed_snapshot_is_told(five):
    (five.root / "versions" / "v6").rename(five.root / "versions" / "v60")
    with pytest.raises(BadTable, match="v60: found the manifest of version v6, expected that of v60"):
        five.verify("v60")
