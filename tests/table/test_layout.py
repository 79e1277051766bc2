"""A folder that is not ours is never touched."""

import os

import pytest

from recobatch.errors import BadTable, RecobatchError
from recobatch.table import open_table
from recobatch.table.layout import initialize
from tests.support.small_table import publish


@pytest.mark.parametrize("use", [
    lambda table: table.stage("v1"),
    lambda table: table.current(),
    lambda table: table.snapshots(),
    lambda table: table.verify(),
    lambda table: table.rollback("v1"),
    lambda table: table.lock(holder="me").__enter__(),
])  # fmt: skip
def test_a_folder_that_is_not_ours_is_untouched(tmp_path, use):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BadTable, match=r"found 1 entries that are not of a prediction table \(thesis\.tex\).*--table"):
        use(open_table(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_many_foreign_names_stop_at_five(tmp_path):
    for n in range(9):
        (tmp_path / f"{n}.txt").touch()
    with pytest.raises(BadTable, match=r"\(0\.txt, 1\.txt, 2\.txt, 3\.txt, 4\.txt, …\)"):
        initialize(tmp_path)


def test_clean_leaves_a_foreign_folder_alone(tmp_path):
    (tmp_path / ".tmp-mine").touch()
    assert open_table(tmp_path).clean() == []
    assert (tmp_path / ".tmp-mine").exists()


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "predictions").write_text("x")
    with pytest.raises(BadTable, match="found something that is no folder"):
        open_table(tmp_path / "predictions").stage("v1")


def test_a_link_to_nowhere(tmp_path):
    (tmp_path / "predictions").symlink_to(tmp_path / "gone")
    with pytest.raises(BadTable, match="found something that is no folder"):
        open_table(tmp_path / "predictions").stage("v1")


def test_a_parent_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecobatchError, match="refused to"):
        open_table(tmp_path / "file" / "predictions").stage("v1")


def test_a_run_that_died_before_marking_the_folder_is_no_obstacle(tmp_path, inputs):
    (tmp_path / "versions").mkdir()
    (tmp_path / ".tmp-.recobatch-table-1234").write_text("{")
    (tmp_path / ".lock").touch()
    table = open_table(tmp_path)
    publish(table, "v1", inputs)
    assert table.verify().ok
    assert not list(tmp_path.glob(".tmp-*"))


def test_an_empty_folder_and_a_missing_parent_become_tables(tmp_path, inputs):
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "empty", tmp_path / "a" / "b" / "c"):
        publish(open_table(root), "v1", inputs)
        assert open_table(root).current().version == "v1"


def test_a_rival_that_cleans_while_the_folder_is_initialized_is_no_obstacle(tmp_path, monkeypatch):
    """Two first runs at once: the faster one has locked and cleaned while the slower one still initializes."""
    root, real = tmp_path / "predictions", os.fsync

    def fsync(handle):
        monkeypatch.undo()
        with open_table(root).lock(holder="rival"):
            open_table(root).clean()
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    initialize(root)
    assert open_table(root).current() is None
