"""A folder that is not ours is never touched."""

import json
import os
from contextlib import suppress

import pytest

from recobatch.errors import BadTable, RecobatchError
from recobatch.table import lock as lock_module
from recobatch.table import open_table
from recobatch.table.layout import initialize, withdraw
from tests.support.faults.disk import Crash, crashing
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


# A run that ends before it has staged anything leaves no table behind.


def test_a_lock_under_which_nothing_was_staged_leaves_no_folder(tmp_path):
    table = open_table(tmp_path / "a" / "predictions")
    with table.lock(holder="ends"):
        assert table.clean() == []
        assert table.current() is None
    assert not table.root.exists()
    with pytest.raises(KeyError), table.lock(holder="fails"):
        raise KeyError
    assert not table.root.exists()
    assert table.current() is None


def test_a_folder_that_was_there_stays_and_is_empty(tmp_path):
    root = tmp_path / "predictions"
    root.mkdir(mode=0o750)
    with open_table(root).lock(holder="refused"):
        pass
    assert list(root.iterdir()) == []
    assert root.stat().st_mode & 0o777 == 0o750


def test_what_was_staged_or_published_stays(tmp_path, inputs):
    table = open_table(tmp_path / "staged")
    with table.lock(holder="dies"):
        staging = table.stage("v1", shaped_by="abc")
    assert staging.path.exists()
    with table.lock(holder="next"):
        assert table.resume("abc").version == "v1"
        table.clean()
    assert list(table.root.iterdir()) == [], "whose folder was there before"
    publish(table, "v1", inputs)
    with table.lock(holder="refused"):
        pass
    assert table.verify().ok


def test_a_folder_with_anything_else_in_it_stays_as_it_is(tmp_path):
    table = open_table(tmp_path)
    initialize(tmp_path)
    (tmp_path / "notes.txt").touch()
    with table.lock(holder="refused"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {".lock", ".recobatch-table", "versions", "notes.txt"}


@pytest.mark.parametrize("at", range(1, 6))
def test_killed_while_the_empty_table_is_removed(tmp_path, inputs, at):
    table = open_table(tmp_path / "predictions")
    lock = table.lock(holder="refused")
    lock.__enter__()
    with suppress(Crash), crashing(at).mounted():
        lock.__exit__(None, None, None)
    assert table.current() is None
    publish(table, "v1", inputs)
    assert table.verify().ok
    assert len(list(table.root.iterdir())) == 5


def test_a_rival_that_meets_the_end_of_a_refused_run_locks_a_table_of_its_own(tmp_path, monkeypatch):
    """The lock file that it has opened is removed before it is locked."""
    root, real, rounds = tmp_path / "predictions", lock_module.TableLock._acquire, []

    def acquire(lock):
        if not rounds:
            rounds.append("removed meanwhile")
            withdraw(root)
            root.rmdir()
        real(lock)

    monkeypatch.setattr(lock_module.TableLock, "_acquire", acquire)
    with open_table(root).lock(holder="rival"):
        assert (root / ".recobatch-table").exists()
        assert json.loads((root / ".lock").read_text())["holder"] == "rival"
    assert not root.exists()
