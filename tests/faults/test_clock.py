"""A clock that was set back confuses neither retention nor roll-back."""

import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recobatch.table import open_table, staging
from tests.support.faults.numbered import check_whole, inputs_of, publish_number, read_number
from tests.support.faults.whole_run import Project

pytestmark = pytest.mark.long


class Yesterday(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) - timedelta(days=1)


def test_clock_set_back_a_day(three, folder, monkeypatch):
    monkeypatch.setattr(staging, "datetime", Yesterday)
    publish_number(three, inputs_of(folder, 4), 4)
    table = open_table(three)
    assert datetime.fromisoformat(table.current().manifest.created) < datetime.now(UTC) - timedelta(hours=20)
    assert check_whole(three) == [2, 3, 4]
    assert read_number(three) == 4
    monkeypatch.undo()
    publish_number(three, inputs_of(folder, 5), 5)
    assert check_whole(three) == [3, 4, 5]
    assert table.rollback().version == "v4", "the one published before, not the one with the next later clock"
    assert table.retain(1) == ["v5", "v3"]
    assert check_whole(three) == [4]


@pytest.fixture(scope="module")
def yesterday(tmp_path_factory):
    """Environment of a process that believes it is yesterday, as do its children."""
    compiler = shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no gcc on Linux to build the clock with")
    library = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).parents[1] / "support" / "faults" / "clock.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    environment = {"LD_PRELOAD": str(library), "CLOCK_SHIFT_SECONDS": "-86400"}
    program = [sys.executable, "-c", "import time; print(time.time())"]
    told = subprocess.run(program, env=os.environ | environment, capture_output=True, text=True, check=True).stdout
    assert 86000 < time.time() - float(told) < 87000
    return environment


def test_a_whole_run_of_yesterday_is_the_newer_one(tmp_path, yesterday, prefect_api):
    project = Project(tmp_path)
    first = project.start(PREFECT_API_URL=prefect_api)
    assert first.end() == 0, first.lines
    second = project.start("--fresh", cold=True, **yesterday)
    assert second.end() == 0, second.lines
    versions = [run.summary["table"]["version"] for run in (first, second)]
    assert versions[1] < versions[0], "the clock was set back"
    assert project.table.current().version == versions[1]
    assert project.table.verify().ok
    assert "WARNING" not in "\n".join(second.lines)
    again = project.start(cold=True, PREFECT_API_URL=prefect_api, **yesterday)
    assert again.end() == 0, again.lines
    assert again.summary["unchanged"]
    assert project.litter() == []
    assert project.table.rollback().version == versions[0]
