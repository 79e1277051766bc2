"""Exports in pieces of a few hundred rows, some of which are killed with SIGKILL in the middle."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recobatch.scoring.predictions import ScoreOptions
from recobatch.table import Published, Table
from recobatch.table.export import export
from tests.support.paths import REPO
from tests.support.small_table import N_ITEMS, N_USERS, make_model, publish, write_inputs

ROWS = N_USERS * N_ITEMS
PIECE = 8 * N_ITEMS
"""Two row groups."""
_STOPPED = """
import sys, time
from recobatch.table import open_table, pieces
from recobatch.table.export import export
pieces._PIECE_ROWS, copied = int(sys.argv[3]), 0
def stop(rows):
    global copied
    copied += rows
    if copied >= int(sys.argv[4]):
        print("copied", copied, flush=True)
        time.sleep(60)
export(open_table(sys.argv[1]).snapshot(), "predictions", sys.argv[2], stop)
"""


def publish_in_pieces(table: Table, version: str, folder: Path, *, seed: int = 1) -> Published:
    """A table of six files with up to four row groups each."""
    inputs = write_inputs(folder, make_model(N_USERS, N_ITEMS, seed=seed))
    return publish(table, version, inputs, options=ScoreOptions(rows_per_group=4 * N_ITEMS), top=5)


@contextmanager
def stopped_export(snapshot: Published, target: str, rows: int) -> Iterator[subprocess.Popen]:
    """An export of all predictions that sleeps once it has written so many rows; killed at the end of the block."""
    table = Path(snapshot.location).parent.parent
    command = [sys.executable, "-c", _STOPPED, str(table), target, str(PIECE), str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPO, text=True) as process:
        assert process.stdout.readline() == f"copied {rows}\n"
        yield process
        process.kill()


def counted_export(snapshot: Published, target: str) -> tuple[int, int]:
    """Export all predictions; returns the rows that were there, and those that were read."""
    resumed, read = [], []
    assert export(snapshot, "predictions", target, read.append, resumed.append) == ROWS
    assert len(resumed) == 1
    return resumed[0], sum(read)
