import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.tracking.outbox import Journal, Record, RunState


def tag(number):
    return Record("tags", {"n": str(number)})


def test_records_are_pending_until_they_are_acknowledged(tmp_path):
    journal = Journal.create(tmp_path, "m")
    for number in range(3):
        journal.append(tag(number))
    journal.acknowledge(2, run_id="r")
    assert [record.body["n"] for record in journal.pending()] == ["2"]
    assert journal.state.run_id == "r"


def test_nobody_else_may_read_a_journal(tmp_path):
    assert Journal.create(tmp_path / "spool", "m").folder.stat().st_mode & 0o077 == 0


def test_a_journal_in_use_is_not_left_over(tmp_path):
    journal = Journal.create(tmp_path, "m")
    journal.append(tag(0))
    assert list(Journal.left_over(tmp_path)) == []
    journal.close()
    assert [found.name for found in Journal.left_over(tmp_path)] == [journal.name]


def test_a_journal_is_read_back_as_it_was(tmp_path):
    journal = Journal.create(tmp_path, "m")
    journal.append(tag(0))
    journal.append(tag(1))
    journal.acknowledge(1, run_id="r", model_id="m-1", version=3, finished=True)
    journal.close()
    (found,) = Journal.left_over(tmp_path)
    assert found.state == RunState("r", "m-1", 3, finished=True)
    assert [record.body for record in found.pending()] == [{"n": "1"}]


def test_a_journal_of_version_0_1_0_is_read(tmp_path):
    folder = tmp_path / "1764035000000-m-0a1b2c3d"
    folder.mkdir()
    (folder / "events.jsonl").write_text(
        '{"kind": "start", "at_ms": 1764035000000, "body": {"name": "m \\u00b7 b1", "tags": {"batch_id": "b1"}}}\n'
        '{"ack": 1, "state": {"run_id": "r", "model_id": null, "version": null, "finished": false}}\n'
        '{"kind": "metrics", "at_ms": 1764035000001, "body": {"step": 1, "values": {"loss": NaN}}}\n'
    )
    (found,) = Journal.left_over(tmp_path)
    (record,) = found.pending()
    assert (found.state, found.is_killed, record.kind, record.body["step"]) == (RunState("r"), True, "metrics", 1)


def pending_tags(root):
    return [[record.body["n"] for record in journal.pending()] for journal in Journal.left_over(root)]


@pytest.mark.parametrize(
    "rest", ['{"kind": "tags", "at_', '{"kind": "tags", "at_ms": 1}', "\x00\x00\n", '{"ack": 1, "sta']
)
def test_a_line_cut_off_by_a_kill_is_dropped_and_the_next_one_is_whole(tmp_path, rest):
    journal = Journal.create(tmp_path, "m")
    journal.append(tag("ü"))
    journal.close()
    file = journal.folder / "events.jsonl"
    file.write_text(file.read_text() + rest)
    for found in Journal.left_over(tmp_path):
        found.append(tag(1))
    assert pending_tags(tmp_path) == [["ü", "1"]]


def test_kept_files_outlive_their_source(tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("content")
    journal = Journal.create(tmp_path, "m")
    kept = journal.folder / journal.keep(source)
    source.unlink()
    assert kept.read_text() == "content"
    assert kept.name == "a.txt"


def test_links_that_cannot_be_made_become_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    source = tmp_path / "a.txt"
    source.write_text("content")
    journal = Journal.create(tmp_path, "m")
    assert (journal.folder / journal.keep(source)).read_text() == "content"


def test_removal_leaves_nothing(tmp_path):
    journal = Journal.create(tmp_path, "m")
    journal.append(tag(0))
    journal.remove()
    assert list(tmp_path.iterdir()) == []


def test_journals_that_are_made_while_another_run_delivers_leave_no_empty_one(tmp_path):
    """As when two models begin their runs at once: one looks through the outbox while the other makes its journal."""

    def make_many(_):
        for number in range(300):
            Journal.create(tmp_path, "m").append(tag(number))

    def look_through(_):
        while len(made) < 2:
            seen.extend(journal.pending() for journal in Journal.left_over(tmp_path))

    made: list[None] = []
    seen: list[list[Record]] = []
    with ThreadPoolExecutor(4) as threads:
        looking = [threads.submit(look_through, None) for _ in range(2)]
        for _ in threads.map(make_many, range(2)):
            made.append(None)
        for one in looking:
            one.result()
    assert all(seen)
    assert len(pending_tags(tmp_path)) == len(list(tmp_path.iterdir())) == 600


def test_a_killed_process_unlocks_its_journal(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from recobatch.tracking.outbox import Journal, Record\n"
        "journal = Journal.create(Path(sys.argv[1]), 'm'); journal.append(Record('tags', {}))\n"
        "print(journal.name, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert list(Journal.left_over(tmp_path)) == []
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [Path(found.folder).name for found in Journal.left_over(tmp_path)] == [name]


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.floats(allow_nan=False), st.none())))
def test_a_record_is_read_back_as_it_was(tmp_path_factory, body):
    outbox, record = tmp_path_factory.mktemp("outbox"), Record("tags", body)
    journal = Journal.create(outbox, "m")
    journal.append(record)
    journal.close()
    assert [found.pending() for found in Journal.left_over(outbox)] == [[record]]


@pytest.mark.parametrize("damage", [b"\xff", b"\x00", b'"', b"\n"])
def test_a_journal_damaged_in_its_midst_is_quarantined_and_named_once(tmp_path, damage, caplog):
    damaged, whole = Journal.create(tmp_path, "damaged"), Journal.create(tmp_path, "whole")
    for journal in (damaged, whole):
        for n in range(3):
            journal.append(tag(n))
        journal.close()
    file = damaged.folder / "events.jsonl"
    content = file.read_bytes()
    place = content.index(b'"1"') - 2
    file.write_bytes(content[:place] + damage + content[place + 1 :])
    assert pending_tags(tmp_path) == [["0", "1", "2"]]
    assert pending_tags(tmp_path) == [["0", "1", "2"]]
    assert caplog.text.count("found a record that cannot be read (line 2), expected JSON") == 1
    kept = tmp_path / f"quarantined-{damaged.name}" / "events.jsonl"
    assert kept.read_bytes() == content[:place] + damage + content[place + 1 :]
    assert Journal.reopen(damaged.folder) is None
