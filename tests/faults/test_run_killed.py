"""A whole run, killed at any moment: the table stands, and the next run goes on to the very same bits."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from recobatch.synthetic import write_synthetic
from recobatch.table import PredictionTable
from tests.faults.disk import FULL_SWEEP

MOMENTS = 50 if FULL_SWEEP else 3
MODELS = ("explicit_mf", "explicit_mf_bias")


@pytest.fixture
def begin(tmp_path, prefect_api):
    """Start ``recobatch run`` as a process of its own, in ``tmp_path``, on small ratings."""
    write_synthetic(tmp_path / "ratings.parquet", n_users=300, n_items=100, n_ratings=6000, seed=1)
    environment = {**os.environ, "PREFECT_API_URL": prefect_api}

    def begin(table, *more):
        arguments = ["run", "ratings.parquet", "--table", table, "--set", "gate.baseline=none", "--json", *more]
        return subprocess.Popen(
            [sys.executable, "-c", "from flows.cli import main; main()", *arguments],
            cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return begin


def finish(process):
    out, err = process.communicate(timeout=250)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def predictions(folder, table):
    current = folder / table / "current" / "table"
    return [pq.read_table(current / f"model={name}", partitioning=None) for name in MODELS]


@pytest.mark.slow
@pytest.mark.timeout(60 + 40 * MOMENTS)
def test_a_killed_run_loses_nothing_and_the_next_goes_on(begin, tmp_path):
    started = time.monotonic()
    finish(begin("undisturbed"))
    length = time.monotonic() - started
    seen = []
    table = PredictionTable(tmp_path / "struck")
    for moment in np.random.default_rng(3).uniform(0.3, 1, MOMENTS) * length:
        process = begin("struck", "--fresh")
        try:
            process.communicate(timeout=moment)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        if (current := table.current()) is not None:
            assert table.verify().ok
            seen += [current.version] if current.version not in seen else []
        assert set(seen[-3:]) <= {snapshot.version for snapshot in table.snapshots()}
    last = finish(begin("struck", "--force"))
    assert table.current().version == last["table"]["version"]
    assert predictions(tmp_path, "struck") == predictions(tmp_path, "undisturbed")
    litter = [path.name for path in (tmp_path / "struck").iterdir() if path.name.startswith(".stag")]
    assert litter == []


@pytest.mark.slow
def test_a_run_that_died_in_training_is_taken_up_after_the_stages_it_finished(begin, tmp_path):
    process = begin("taken")
    finished = tmp_path / ".recobatch" / "work"
    while process.poll() is None and not list(finished.glob("train-explicit_mf-*")):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    summary = finish(begin("taken"))
    assert {"ingest", "encode", "split", "train explicit_mf"} <= set(summary["reused"])
    assert "train explicit_mf_bias" not in summary["reused"]
