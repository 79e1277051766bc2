"""Stage outputs: reused when whole, redone when not."""

import os
import time
from dataclasses import replace

import pytest

from recobatch.storage import workspace
from recobatch.storage.fingerprints import code_fingerprint
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


@pytest.mark.parametrize("damage", ["truncate", "delete", "undone"])
def test_a_damaged_output_is_redone(tmp_path, build, builds, damage):
    work = Workspace(tmp_path)
    done = work.stage("ingest", {}, build)
    if damage == "truncate":
        (done.path / "data.txt").write_text("whol")
    elif damage == "delete":
        (done.path / "deep" / "more.txt").unlink()
    else:
        (done.path / "done.json").write_text("{")
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
