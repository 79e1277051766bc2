"""SIGKILL at the requests of a publish to a real S3 server, while a consumer reads; and ten writers at once."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from recobatch.table import open_table
from tests.support.faults.disk import FULL_SWEEP, strikes
from tests.support.faults.numbered import ROWS, inputs_of, publish_number
from tests.support.s3_server import Strike

pytestmark = pytest.mark.timeout(3600 if FULL_SWEEP else 300)
REPO = Path(__file__).parents[2]


def read_number(place) -> int:
    """Read the table as a consumer does, without our code; assert that it is whole and of one version."""
    rows = place.read_table()
    values = set(rows["prediction"].to_pylist())
    assert rows.num_rows == ROWS, rows.num_rows
    assert len(values) == 1, values
    return int(values.pop())


class Reader(threading.Thread):
    """Never stops reading."""

    def __init__(self, place):
        super().__init__(daemon=True)
        self.place, self.reads, self.wrong, self.ended = place, 0, [], threading.Event()

    def run(self):
        while not self.ended.is_set():
            try:
                read_number(self.place)
                self.reads += 1
            except (AssertionError, OSError, pa.ArrowException) as error:
                self.wrong.append(repr(error))


@pytest.mark.long
@pytest.mark.parametrize("afterwards", [False, True], ids=["before it", "after it"])
def test_killed_at_any_request_while_a_consumer_reads(s3, s3_server, folder, writer, afterwards):
    def kill() -> bool:
        os.kill(int(writer.pid.read_text()), signal.SIGKILL)
        return True

    table = open_table(s3.uri, root=folder)
    numbers = itertools.count(2)
    assert writer.publish(s3.uri, before := 1)[0] == 0
    reader = Reader(s3)
    reader.start()
    for at in strikes(8, 5 if afterwards else 1):
        s3_server.reset(Strike(at, kill, afterwards, skip=("GET", "HEAD")))
        code, _ = writer.publish(s3.uri, number := next(numbers))
        s3_server.reset()
        assert read_number(s3) in (before, number)
        assert all(table.verify(snapshot.version).ok for snapshot in table.snapshots())
        if code == 0:
            break
        assert code == -9
        code, told = writer.publish(s3.uri, before := next(numbers))
        assert (code, told["error"]) == (0, None)
        assert read_number(s3) == before
        listed = s3.pointer()["snapshots"]
        assert {name.split("/")[1] for name in s3.names() if name.startswith("versions/")} == set(listed)
    reader.ended.set()
    reader.join()
    assert reader.wrong == []
    assert reader.reads > 5
    assert at > 16
    assert not [path for path in (folder / ".recobatch").rglob("*") if path.is_file()]


@pytest.mark.long
@pytest.mark.parametrize("afterwards", [False, True], ids=["before it took effect", "when it had"])
def test_a_server_that_fails_once_is_asked_again(s3, s3_server, tmp_path, monkeypatch, afterwards):
    """At any request; a conditional write that had taken effect is told from one that a rival made."""
    monkeypatch.chdir(tmp_path)
    made = {number: inputs_of(tmp_path, number) for number in range(1, 6)}
    for number in (1, 2, 3):
        publish_number(s3.uri, made[number], number)
    for count, at in enumerate(strikes(10, 6 if afterwards else 1)):
        number = 4 + count % 2
        s3_server.reset(Strike(at, lambda: True, afterwards))
        publish_number(s3.uri, made[number], f"{number}-{at}", keep=2)
        reached = len(s3_server.requests) >= at
        s3_server.reset()
        assert read_number(s3) == number
        assert list(s3.pointer()["snapshots"])[-1] == f"v{number}-{at}"
        if not reached:
            break
    assert at > 15


@pytest.mark.long
def test_ten_at_once(s3, folder):
    """Whoever cannot have the table loses at once; whoever wins publishes a whole version."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.faults.attempt", s3.uri, str(folder), *map(str, range(1, 11))],
        capture_output=True, text=True, cwd=REPO, check=True,
    )  # fmt: skip
    ends = [json.loads(line) for line in done.stdout.splitlines()]
    codes = [code for _, code, _ in ends]
    assert set(codes) <= {0, 4}
    assert codes.count(0) >= 1
    assert all("found the table held by batch" in line or "moved the pointer" in line for _, code, line in ends if code)
    winners = [number for number, code, _ in ends if code == 0]
    assert read_number(s3) in winners
    assert set(s3.pointer()["snapshots"]) <= {f"v{number}" for number in winners}
    assert open_table(s3.uri, root=folder).verify().ok
