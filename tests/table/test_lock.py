"""One writer: across processes, across forks, within a process, and after a kill -9."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from recobatch.errors import RecobatchError, TableBusy
from recobatch.table import open_table
from recobatch.table.session import current_session

HOLD = """
import sys, pathlib
from recobatch.table import open_table
with open_table(pathlib.Path(sys.argv[1])).lock(holder="batch-7"):
    print("held", flush=True)
    sys.stdin.read()
"""
TRY = """
import sys, pathlib
from recobatch.errors import TableBusy
from recobatch.table import open_table
try:
    with open_table(pathlib.Path(sys.argv[1])).lock(holder="rival"):
        print("held")
except TableBusy as busy:
    print(busy)
"""


@pytest.fixture
def holder(table):
    """Another process that holds the table."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(table.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def try_elsewhere(table):
    return subprocess.run(
        [sys.executable, "-c", TRY, str(table.root)], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_loser_is_told_who_where_and_since_when(table, holder):
    with pytest.raises(TableBusy, match=rf"held by batch batch-7 \(pid {holder.pid} on .*, since 20.*--table") as told:
        table.lock(holder="me").__enter__()
    assert told.value.exit_code == 4
    assert "\n" not in str(told.value)


def test_whatever_writes_is_refused_while_another_writes(published, holder):
    for write in (published.rollback, published.clean, lambda: published.retain(1)):
        with pytest.raises(TableBusy):
            write()
    assert published.current().version == "v2"
    assert published.verify().ok, "reading needs no lock"


def test_kill_9_frees_it(table, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with table.lock(holder="me"):
        assert json.loads((table.root / ".lock").read_text())["holder"] == "me"


@pytest.mark.process
def test_it_is_free_after_use_and_after_an_exception(table):
    with pytest.raises(KeyError), table.lock(holder="me"):
        raise KeyError
    assert try_elsewhere(table) == "held"
    with table.lock(holder="me"):
        assert "held by batch me" in try_elsewhere(table)
    assert try_elsewhere(table) == "held"


@pytest.mark.process
def test_two_handles_in_one_process_exclude_each_other(table):
    with table.lock(holder="first"):
        with pytest.raises(TableBusy, match="held by batch first"):
            open_table(table.root).lock(holder="second").__enter__()
        assert "held by batch first" in try_elsewhere(table), "the refused attempt did not drop the lock"


def test_another_spelling_of_the_path_is_the_same_table(table, tmp_path):
    (tmp_path / "alias").symlink_to(table.root.parent)
    with table.lock(holder="first"), pytest.raises(TableBusy):
        open_table(tmp_path / "alias" / table.root.name).lock(holder="second").__enter__()


@pytest.mark.process
def test_a_forked_child_does_not_hold_it_and_cannot_keep_it(table):
    read, write = os.pipe()
    with table.lock(holder="parent"):
        if (child := os.fork()) == 0:  # pragma: no cover - in the child
            os.close(write)
            told = current_session(table.store) is not None
            os.read(read, 1)  # outlives the parent's hold
            os._exit(1 if told else 0)
        os.close(read)
        assert "held by batch parent" in try_elsewhere(table)
    assert try_elsewhere(table) == "held", "the child lives and does not hold it"
    os.write(write, b"x")
    os.close(write)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.process
def test_a_child_that_ends_in_the_with_block_frees_nothing(table):
    with table.lock(holder="parent"):
        if (child := os.fork()) == 0:  # pragma: no cover - in the child
            os._exit(0)
        os.waitpid(child, 0)
        assert "held by batch parent" in try_elsewhere(table)


def test_of_many_threads_one_wins(table):
    def attempt(n):
        try:
            with table.lock(holder=f"thread-{n}"):
                wins.append(n)
                gate.result()
        except TableBusy:
            losses.append(n)
            if len(losses) == 7:
                release()

    wins, losses = [], []

    gate = Future()

    def release():
        gate.set_result(None)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(attempt, range(8)))
    assert (len(wins), len(losses)) == (1, 7)


def test_a_stale_or_garbled_card_does_not_matter(table):
    table.stage("v1")  # an empty table would be removed with its lock
    with table.lock(holder="first"):
        pass
    (table.root / ".lock").write_text("garbage" * 50)
    with table.lock(holder="second"):
        assert json.loads((table.root / ".lock").read_text())["holder"] == "second"


def test_a_lock_that_cannot_be_opened(table):
    table.stage("v1")
    with table.lock(holder="first"):
        pass
    (table.root / ".lock").unlink()
    (table.root / ".lock").mkdir()
    with pytest.raises(RecobatchError, match="refused to open the table's lock"):
        table.lock(holder="second").__enter__()
    assert current_session(table.store) is None
