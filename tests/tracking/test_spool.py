import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recobatch.tracking.events import Event, EventKind, RunState
from recobatch.tracking.spool import RunSpool


def tag(number):
    return Event(EventKind.TAGS, {"n": str(number)})


def test_records_are_pending_until_they_are_acknowledged(tmp_path):
    spool = RunSpool.create(tmp_path, "m")
    for number in range(3):
        spool.append(tag(number))
    spool.acknowledge(2, RunState(run_id="r"))
    assert [event.body["n"] for event in spool.pending()] == ["2"]
    assert spool.state.run_id == "r"


def test_a_journal_in_use_is_not_left_over(tmp_path):
    spool = RunSpool.create(tmp_path, "m")
    assert list(RunSpool.left_over(tmp_path)) == []
    spool.close()
    assert [found.name for found in RunSpool.left_over(tmp_path)] == [spool.name]


def test_a_journal_is_read_back_as_it_was(tmp_path):
    spool = RunSpool.create(tmp_path, "m")
    spool.append(tag(0))
    spool.append(tag(1))
    spool.acknowledge(1, RunState("r", "m-1", 3, finished=True))
    spool.close()
    (found,) = RunSpool.left_over(tmp_path)
    assert found.state == RunState("r", "m-1", 3, finished=True)
    assert [event.body for event in found.pending()] == [{"n": "1"}]


def left_over(root):
    return [[event.body["n"] for event in spool.pending()] for spool in RunSpool.left_over(root)]


@pytest.mark.parametrize(
    "rest", ['{"kind": "tags", "at_', '{"kind": "tags", "at_ms": 1}', "\x00\x00\n", '{"ack": 1, "sta']
)
def test_a_line_cut_off_by_a_kill_is_dropped_and_the_next_one_is_whole(tmp_path, rest):
    spool = RunSpool.create(tmp_path, "m")
    spool.append(tag("ü"))
    spool.close()
    journal = spool.folder / "events.jsonl"
    journal.write_text(journal.read_text() + rest)
    for found in RunSpool.left_over(tmp_path):
        found.append(tag(1))
    assert left_over(tmp_path) == [["ü", "1"]]


def test_kept_files_outlive_their_source(tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("content")
    spool = RunSpool.create(tmp_path, "m")
    kept = spool.folder / spool.keep(source)
    source.unlink()
    assert kept.read_text() == "content"
    assert kept.name == "a.txt"


def test_links_that_cannot_be_made_become_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    source = tmp_path / "a.txt"
    source.write_text("content")
    spool = RunSpool.create(tmp_path, "m")
    assert (spool.folder / spool.keep(source)).read_text() == "content"


def test_removal_leaves_nothing(tmp_path):
    spool = RunSpool.create(tmp_path, "m")
    spool.append(tag(0))
    spool.remove()
    assert list((tmp_path / ".recobatch" / "spool").iterdir()) == []


def test_a_killed_process_lets_go_of_its_journal(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from recobatch.tracking.spool import RunSpool\n"
        "spool = RunSpool.create(Path(sys.argv[1]), 'm'); print(spool.name, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert list(RunSpool.left_over(tmp_path)) == []
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [Path(found.folder).name for found in RunSpool.left_over(tmp_path)] == [name]
