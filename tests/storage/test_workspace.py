"""Stage outputs: reused when whole, redone when not."""

import os
import time
from dataclasses import replace
from threading import Thread

import pytest

from recobatch.storage import workspace
from recobatch.storage.fingerprints import code_fingerprint
from recobatch.storage.folder_lock import try_lock_file
from recobatch.storage.scratch import temporary_folder
from recobatch.storage.stage_outputs import list_outputs
from recobatch.storage.workspace import Workspace


@pytest.fixture
def builds():
    return []


@pytest.fixture
def build(builds):
    def build(out):
        builds.append(out)
        (out / "data.txt").write_text("whole")
        (out / "deep").mkdir()
        (out / "deep" / "more.txt").write_text("too")
        return {"rows": 3, "share": 0.5}

    return build


def test_an_output_is_built_once(tmp_path, build, builds):
    first = Workspace(tmp_path).stage("ingest", {"a": 1}, build)
    second = Workspace(tmp_path).stage("ingest", {"a": 1}, build)
    assert (first.reused, second.reused, len(builds)) == (False, True, 1)
    assert second.report == first.report == {"rows": 3, "share": 0.5}
    assert (second.path / "data.txt").read_text() == "whole"


def test_an_output_is_found_only_where_it_may_be_reused(tmp_path, build):
    work = Workspace(tmp_path)
    assert work.find("ingest", {"a": 1}) is None
    done = work.stage("ingest", {"a": 1}, build)
    assert work.find("ingest", {"a": 1}) == replace(done, reused=True)
    assert work.find("ingest", {"a": 2}) is None
    assert Workspace(tmp_path, fresh=True).find("ingest", {"a": 1}) is None


@pytest.mark.parametrize("other", [("ingest", {"a": 2}), ("encode", {"a": 1})])
def test_other_inputs_make_another_output(tmp_path, build, builds, other):
    work = Workspace(tmp_path)
    assert work.stage("ingest", {"a": 1}, build).path != work.stage(*other, build).path
    assert len(builds) == 2


def test_another_version_of_the_code_shares_nothing(tmp_path, build, builds, monkeypatch):
    work = Workspace(tmp_path)
    work.stage("ingest", {}, build)
    monkeypatch.setattr(workspace, "code_fingerprint", lambda caller: "other")
    work.stage("ingest", {}, build)
    assert len(builds) == 2


def test_the_code_of_the_caller_counts_too(tmp_path, build, builds):
    for source in ("a = 1", "a = 2", "a = 2"):
        (tmp_path / "flow.py").write_text(source)
        code_fingerprint.cache_clear()
        Workspace(tmp_path / "work", caller=tmp_path).stage("ingest", {}, build)
    assert len(builds) == 2


DONE_AS_FOUND = {
    "cut off": b"{", "empty": b"", "no object": b"[]", "an empty object": b"{}", "not UTF-8": b"\xff\xff",
    "without its content": b'{"files": {}, "report": {}}',
}  # fmt: skip


@pytest.mark.parametrize("damage", ["truncate", "delete", *DONE_AS_FOUND])
def test_a_damaged_output_is_redone(tmp_path, build, builds, damage):
    work = Workspace(tmp_path)
    done = work.stage("ingest", {}, build)
    if damage == "truncate":
        (done.path / "data.txt").write_text("whol")
    elif damage == "delete":
        (done.path / "deep" / "more.txt").unlink()
    else:
        (done.path / "done.json").write_bytes(DONE_AS_FOUND[damage])
    again = work.stage("ingest", {}, build)
    assert not again.reused
    assert (again.path / "data.txt").read_text() == "whole"
    assert work.stage("ingest", {}, build).reused


def test_a_failed_build_leaves_nothing(tmp_path):
    def fail(out):
        (out / "half").write_text("…")
        raise RuntimeError("died")

    with pytest.raises(RuntimeError, match="died"):
        Workspace(tmp_path).stage("train", {}, fail)
    assert list(tmp_path.iterdir()) == []


def test_fresh_redoes_and_replaces(tmp_path, build, builds):
    Workspace(tmp_path).stage("ingest", {}, build)
    assert not Workspace(tmp_path, fresh=True).stage("ingest", {}, build).reused
    assert len(builds) == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_prune_removes_what_was_not_used_lately(tmp_path, build):
    work = Workspace(tmp_path)
    old, recent = work.stage("ingest", {"a": 1}, build).path, work.stage("ingest", {"a": 2}, build).path
    long_ago = time.time() - 3 * 86_400
    foreign = tmp_path / "photos-2019"
    foreign.mkdir()
    for folder in (old, foreign):
        os.utime(folder, (long_ago, long_ago))
    work.prune(keep_days=2)
    assert (old.exists(), recent.exists(), foreign.exists()) == (False, True, True)


def test_two_runs_that_build_the_same_output_leave_each_others_files_alone(tmp_path, build):
    """Two tables may be scored at once, from the very same ratings and champion."""
    ours, theirs = Workspace(tmp_path), Workspace(tmp_path)
    done = []

    def overtaken(out):
        done.append(theirs.stage("extend", {"a": 1}, build))
        return build(out)

    mine = ours.stage("extend", {"a": 1}, overtaken)
    for each in (mine, done[0]):
        assert (each.path / "data.txt").read_text() == "whole"
    held = (done[0].path / "data.txt").stat().st_ino
    assert theirs.stage("extend", {"a": 1}, build).path == done[0].path, "a run stays with what it has read"
    assert (done[0].path / "data.txt").stat().st_ino == held


@pytest.mark.parametrize("how", ["prune", "fresh"])
def test_what_another_run_uses_is_neither_removed_nor_replaced(tmp_path, build, how):
    ours, theirs = Workspace(tmp_path), Workspace(tmp_path, fresh=how == "fresh")
    built = ours.stage("ingest", {"a": 1}, build)
    found = Workspace(tmp_path).find("ingest", {"a": 1})
    assert found.path == built.path
    inode = (built.path / "data.txt").stat().st_ino
    if how == "fresh":
        assert theirs.stage("ingest", {"a": 1}, build).path != built.path
    theirs.prune(keep_days=0)
    assert (built.path / "data.txt").stat().st_ino == inode
    assert [reason for folder, reason in list_outputs(tmp_path, keep_days=0) if folder == built.path] == [
        "in use by a run"
    ]
    ours.prune(keep_days=0)
    theirs.prune(keep_days=0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_run_works_in_is_not_pruned(tmp_path):
    """As ``score`` keeps the champion's files in one."""
    with temporary_folder(tmp_path, "champion") as folder:
        Workspace(tmp_path).prune(keep_days=0)
        assert folder.is_dir()


def test_an_output_that_is_being_removed_is_built_again(tmp_path, build, builds):
    built = Workspace(tmp_path).stage("ingest", {"a": 1}, build).path
    lock = try_lock_file(built / "done.json", shared=False)
    again = Workspace(tmp_path).stage("ingest", {"a": 1}, build)
    lock.close()
    assert (again.reused, len(builds)) == (False, 2)


def test_without_locks_outputs_are_reused_and_pruned_by_age(tmp_path, build, monkeypatch):
    def refuse(*args):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    Workspace(tmp_path).stage("ingest", {"a": 1}, build)
    work = Workspace(tmp_path)
    assert work.stage("ingest", {"a": 1}, build).reused
    work.prune(keep_days=1)
    assert len(list(tmp_path.iterdir())) == 1
    work.prune(keep_days=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_runs_that_build_use_and_prune_at_once(tmp_path):
    """Every file that a run was given stays readable until that run ends."""
    failed = []

    def run(number):
        def build(out):
            (out / "data.txt").write_text("whole")
            return {}

        try:
            for turn in range(40):
                work = Workspace(tmp_path, fresh=turn % 5 == number)
                found = [work.stage("extend", {"a": key}, build).path for key in (turn % 2, 2)]
                for folder in found * 3:
                    assert (folder / "data.txt").read_text() == "whole"
                work.prune(keep_days=0)
        except BaseException as error:
            failed.append(error)
            raise

    runs = [Thread(target=run, args=(number,)) for number in range(4)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert not failed
    Workspace(tmp_path).prune(keep_days=0)
    assert list(tmp_path.iterdir()) == []
