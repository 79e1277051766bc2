"""A roll-back leads along the parents, and what was rolled back stays so; in a folder and in a bucket."""

import json

import pytest

from recobatch.errors import BadTable
from recobatch.table import open_table
from tests.support.object_tables import in_memory
from tests.support.small_table import score_into

pytestmark = pytest.mark.slow


@pytest.fixture(params=["folder", "bucket"])
def table(request, tmp_path):
    return open_table(tmp_path / "predictions") if request.param == "folder" else in_memory(tmp_path / "scratch")


@pytest.fixture
def publish(table, inputs):
    """Publish versions one after the other; each notes what it was made from."""

    def publish(*versions, keep=10, inputs_of=None):
        for version in versions:
            with table.lock(holder=version):
                staging = table.stage(version)
                entries = {"plain": score_into(staging, "plain", inputs)}
                made_from = {"inputs": f"inputs of {inputs_of or version}"}
                staging.publish(entries, champion="plain", expected_rows=2400, extra=made_from)
                table.retain(keep)

    return publish


def kept(table):
    return [snapshot.version for snapshot in table.snapshots()]


def marked(table):
    return [entry.version for entry in table.rolled_back()]


def test_never_onto_a_version_that_was_rolled_back(table, publish):
    publish("good", "bad1")
    assert table.rollback().version == "good"
    publish("bad2")
    assert table.current().manifest.parent == "good"
    assert table.rollback().version == "good"
    assert marked(table) == ["bad1", "bad2"]
    with pytest.raises(BadTable, match="found no snapshot older than good, expected one to roll back to; the table "):
        table.rollback()
    assert table.current().version == "good"


def test_to_a_parent_and_not_to_what_was_skipped(table, publish):
    publish("v1", "v2", "v3")
    table.rollback("v1")
    publish("v4")
    assert table.rollback().version == "v1", "v2 is newer, but not what v4 came after"


def test_marks_outlive_publishes_and_retention(table, publish):
    publish("good", "bad")
    table.rollback()
    publish("next")
    assert marked(table) == ["bad"]
    publish("newest", keep=2)
    assert kept(table) == ["next", "newest"]
    (mark,) = table.rolled_back()
    assert (mark.version, mark.inputs) == ("bad", "inputs of bad"), "so that they are not published again"


def test_what_was_published_again_on_purpose_is_free(table, publish):
    publish("good", "bad")
    table.rollback()
    publish("forced", inputs_of="bad")
    assert [(entry.version, entry.inputs) for entry in table.rolled_back()] == [("bad", "")]
    assert table.rollback().version == "good"
    assert table.rolled_back()[-1].inputs == "inputs of bad", "until that is rolled back too"


def test_a_version_that_is_named_is_good_again(table, publish):
    publish("v1", "v2")
    table.rollback()
    assert table.rollback("v2").version == "v2"
    assert marked(table) == []
    publish("v3")
    assert table.rollback().version == "v2"


def test_retention_takes_what_was_rolled_back_first(table, publish):
    publish("good", "bad1")
    table.rollback()
    publish("bad2")
    table.rollback()
    publish("bad3", keep=2)
    assert kept(table) == ["good", "bad3"]
    assert table.rollback().version == "good"
    publish("next", keep=3)
    assert kept(table) == ["good", "bad3", "next"]
    publish("newest", keep=3)
    assert kept(table) == ["good", "next", "newest"]


def test_a_damaged_manifest_is_passed_over(table, publish):
    publish("v1", "v2", "v3")
    spoil(table, "v2")
    assert table.rollback().version == "v1"
    assert table.retain(1) == ["v3"], "what is damaged is left for a person to look at"
    assert "v2" in table.store.versions()


def test_where_only_bad_ones_are_left_it_says_so(table, publish):
    publish("v1", "v2", "v3")
    table.rollback()
    table.rollback()
    table.rollback("v3")
    publish("v4")
    table.rollback("v3")
    spoil(table, "v1")
    with pytest.raises(
        BadTable, match=r"found no snapshot older than v3 but what was rolled back itself \(v2\), expected"
    ):
        table.rollback()
    assert table.rollback("v2").version == table.current().version == "v2", "unless it is named"


def test_the_pointer_has_one_format(table, publish):
    publish("v1", "v2")
    table.rollback()
    text = table.store.read("current.json")
    pointer = json.loads(text)
    entries = {
        "v1": {"sequence": 1, "parent": None, "inputs": "inputs of v1"},
        "v2": {"sequence": 2, "parent": "v1", "inputs": "inputs of v2"},
    }
    assert (pointer["snapshots"], pointer["rolled_back"]) == (entries, {"v2": entries["v2"]})
    assert (pointer["version"], pointer["table"]) == ("v1", "versions/v1/table/model=plain")


def spoil(table, version):
    name = f"versions/{version}/manifest.json"
    if table.store.is_remote:
        table.store.bucket.write(name, b"{}", over=table.store.bucket.read(name)[1])
    else:
        (table.root / name).write_bytes(b"{}")
