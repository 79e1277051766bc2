"""Two workers of one core each beside one: every pair by ``recobatch score --engine dask``, from command to table.

    .venv/bin/python benchmarks/cluster.py [--users 40000] [--items 25000]     3 GB of disk, some five minutes

A scheduler and workers as processes, each bound to a core of its own; the run itself may use any core. Prints one JSON
object a line. The run and its Prefect server share the cores with the workers, which a cluster's would not; on a busy
machine the processor's seconds of the workers say more than those of the clock.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent
SETTINGS = (
    "models=explicit_mf_bias", "interest.method=none", "gate.baseline=none", "gate.ranking=none", "train.epochs=1",
    "train.batch_size=1024", "champion.validation_fraction=0", "top.k=0",
)  # fmt: skip


def recobatch(project: Path, *arguments: str, **environment: str) -> dict:
    """One command: the last line that it prints, its seconds, and those of the processor that it and its server had."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [BIN / "recobatch", *arguments, *(f"--set={each}" for each in SETTINGS), "--json"],
        cwd=project, env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout.splitlines()[-1]) | {"whole_seconds": seconds, "cpu_of_run": cpu}


@contextmanager
def workers(project: Path, number: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler's address, and so many workers of it, each of one thread on a core of its own."""
    card = project / f"scheduler-{time.monotonic_ns()}.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": project}
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    scheduler = subprocess.Popen([*dask, "--no-dashboard", "--scheduler-file", card], **quiet)
    while not (card.exists() and card.read_text().endswith("}")):
        time.sleep(0.1)
    address = json.loads(card.read_text())["address"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    started = [
        subprocess.Popen(["taskset", "-c", str(core), *worker, "--no-dashboard", "--memory-limit", "1GB"], **quiet)
        for core in range(number)
    ]
    try:
        _wait_for_workers(address, number)
        yield address, started
    finally:
        for process in (*started, scheduler):
            process.kill()
            process.wait()


def _wait_for_workers(address: str, number: int) -> None:
    """In a process of its own: a client of this one would keep a thread of it busy."""
    code = f"from distributed import Client; Client('{address}').wait_for_workers({number}, timeout=60)"
    subprocess.run([sys.executable, "-c", code], check=True)


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def score(project: Path, number: int) -> dict:
    """Score with so many workers."""
    with workers(project, number) as (address, started):
        before = [cpu_of(worker) for worker in started]
        found = recobatch(project, "score", "--engine", "dask", "--force", DASK_SCHEDULER_ADDRESS=address)
        of_workers = [round(cpu_of(worker) - had, 2) for worker, had in zip(started, before, strict=True)]
    return {
        "workers": number, "score_seconds": found["timings"]["score"], "whole_seconds": found["whole_seconds"],
        "cpu_of_each_worker": of_workers, "cpu_of_run": found["cpu_of_run"], "rows": found["table"]["rows"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=40_000)
    parser.add_argument("--items", type=int, default=25_000)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recobatch-bench-") as folder:
        project = Path(folder)
        shape = ("--users", str(options.users), "--items", str(options.items), "--ratings", str(10 * options.users))
        subprocess.run([BIN / "recobatch", "synth", "ratings.parquet", *shape], cwd=project, check=True)
        recobatch(project, "train", "ratings.parquet")
        ratios = []
        for _ in range(options.repeats):
            one, two = score(project, 1), score(project, 2)
            for each in (one, two):
                print(json.dumps(each), flush=True)
            evenly = sum(two["cpu_of_each_worker"]) / 2 / one["cpu_of_each_worker"][0]
            ratios.append(
                {name: two[name] / one[name] for name in ("score_seconds", "whole_seconds")}
                | {"cpu_of_a_worker_if_divided_evenly": evenly}
            )
        medians = {name: statistics.median(each[name] for each in ratios) for name in ratios[0]}
        print(json.dumps({"ratio of two workers to one": medians}))


if __name__ == "__main__":
    main()
