"""Several runs at once on one table: one wins, the others leave at once and say who won."""

import json
import re
import subprocess
import sys

import pytest

from recobatch.errors import TableBusy
from recobatch.table import open_table
from tests.support.faults.disk import FULL_SWEEP
from tests.support.faults.numbered import check_tidy, check_whole, read_number
from tests.support.faults.whole_run import Project
from tests.support.paths import REPO


def start_together(root, folder, numbers):
    """Exit code and error line of each."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.faults.attempt", str(root), str(folder), *map(str, numbers)],
        capture_output=True, text=True, check=True, cwd=REPO,
    )  # fmt: skip
    return [tuple(json.loads(line)[1:]) for line in done.stdout.splitlines()]


@pytest.mark.long
@pytest.mark.parametrize("first", [4, 14], ids=["two", "ten"])
def test_runs_at_once(three, folder, first):
    numbers = range(first, first + (2 if first == 4 else 10))
    ends = start_together(three, folder, numbers)
    won = [number for number, (code, _) in zip(numbers, ends, strict=True) if code == 0]
    lost = [errors for code, errors in ends if code != 0]
    assert {code for code, _ in ends} <= {0, 4}, ends
    assert won
    for errors in lost:
        assert "\n" not in errors
        assert re.search(r"held by batch batch of v\d+ \(pid \d+ on \S+, since 20\S+\)", errors), errors
    assert read_number(three) in won
    assert set(check_whole(three)) <= {1, 2, 3, *won}
    check_tidy(three)


@pytest.mark.long
def test_ten_runs_on_a_table_that_does_not_exist_yet(folder):
    root = folder / "fresh"
    ends = start_together(root, folder, range(1, 11))
    assert {code for code, _ in ends} <= {0, 4}, ends
    assert read_number(root) is not None
    check_whole(root)
    check_tidy(root)


@pytest.mark.long
@pytest.mark.timeout(400)
def test_whole_runs_at_once_in_an_empty_folder(tmp_path):
    project = Project(tmp_path, empty=True)
    runs = [project.start("--fresh") for _ in range(10 if FULL_SWEEP else 2)]
    codes = [run.end() for run in runs]
    assert set(codes) <= {0, 4}, [run.lines for run in runs if run.process.returncode not in (0, 4)]
    won = [run for run in runs if run.process.returncode == 0]
    for run in runs:
        if run not in won:
            (words,) = run.last_words
            assert "held by batch" in words
    assert project.table.current().version in [run.summary["table"]["version"] for run in won]
    assert len(project.table.snapshots()) == min(3, len(won))
    assert project.table.verify().ok
    assert project.litter() == []


def test_the_loser_changes_nothing(three, writer):
    before = sorted(path.name for path in three.rglob("*"))
    with open_table(three).lock(holder="batch-1"):
        code, told = writer.publish(three, 4)
        assert code == TableBusy.exit_code
        assert "held by batch batch-1" in told["error"]
        assert [call for call in told["calls"] if call != "mkdir"] == []
    assert sorted(path.name for path in three.rglob("*")) == before
