"""The whole job as a stranger runs it: where each second of the second run goes, scoring alone, and what only looks.

    python benchmarks/whole.py --u-data PATH     a few minutes; PATH is MovieLens 100k's u.data

The notebook's same work stands beside it: ``model.fit`` of both models and ``predict`` of every pair, measured in turn
with ours. Prints markdown tables and writes JSON lines: medians of three runs, each a process of its own.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scoring_runs import make_inputs

HERE = Path(__file__).parent
RECOBATCH = Path(sys.executable).with_name("recobatch")
SMALL = (943, 1682, 40, 100_000)
PAIRS_PREDICTED = 20_000
MODELS = ("explicit_mf", "explicit_mf_bias")


WATCH = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.call(sys.argv[1:])
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024}))
sys.exit(code)
"""
"""A small process between us and a command: a child's peak begins at that of its parent, and ours is NumPy's."""


def timed(folder: Path, *arguments: str, **environment: str) -> dict:
    """One command: wall seconds, peak memory of its largest process, the last line of its output."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", WATCH, str(RECOBATCH), *arguments], cwd=folder, env=os.environ | environment,
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"recobatch {' '.join(arguments)}: {done.stderr[-2000:]}")
    *lines, told = done.stdout.splitlines()
    return json.loads(told) | {"last": lines[-1] if lines else ""}


def notebook(u_data: Path, inputs: Path) -> float:
    """Seconds of the notebook's own way: fit both models, predict every pair of both."""
    fits = [measured("training_runs.py", "fit", u_data, name, 5)["fit_seconds"] for name in MODELS]
    predict = measured("scoring_runs.py", "keras", inputs, PAIRS_PREDICTED)["seconds"]
    return sum(fits) + len(MODELS) * predict * SMALL[0] * SMALL[1] / PAIRS_PREDICTED


def measured(script: str, *arguments: object) -> dict:
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def prefect_server(folder: Path) -> Iterator[str]:
    """A running server, as a team has one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    command = [str(Path(sys.executable).with_name("prefect")), "server", "start", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, env=os.environ | {"PREFECT_HOME": str(folder / ".server")}, **quiet)
    try:
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait()


def second_runs(folder: Path, u_data: Path, runs: int) -> tuple[dict, list[dict]]:
    """The job's first run, then ``runs`` more that redo every stage, the notebook's work in turn with them."""
    inputs = folder / "inputs"
    make_inputs(inputs, *SMALL, seed=1)
    first = timed(folder, "run", str(u_data), "--json")
    rounds = []
    for _ in range(runs):
        again = timed(folder, "run", str(u_data), "--fresh", "--json")
        rounds.append(again | {"notebook": notebook(u_data, inputs), "timings": json.loads(again["last"])["timings"]})
    return first, rounds


def looks(folder: Path, runs: int) -> Iterator[tuple[str, dict]]:
    """Commands beside the job, each with its median run."""
    with prefect_server(folder) as url:
        scores = [timed(folder, "score", "--force", "--json", PREFECT_API_URL=url) for _ in range(runs)]
    yield "recobatch score, on a running Prefect server", middle(scores)
    for arguments in (["--help"], ["top", "1"], ["compare"], ["verify"]):
        yield f"recobatch {' '.join(arguments)}", middle([timed(folder, *arguments) for _ in range(runs)])


def middle(runs: list[dict]) -> dict:
    return sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--u-data", type=Path, required=True, help="MovieLens 100k's u.data")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "out" / "whole.jsonl")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
          f"medians of {options.runs} runs\n")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="recobatch-bench-") as name:
        first, rounds = second_runs(Path(name), options.u_data.resolve(), options.runs)
        rows = [
            {"what": what, "seconds": run["seconds"], "peak_mb": run["peak_mb"]}
            for what, run in looks(Path(name), options.runs)
        ]
    own, theirs = (statistics.median(run[key] for run in rounds) for key in ("seconds", "notebook"))
    peak = max(run["peak_mb"] for run in rounds)
    print("| what | ours s | the notebook's way s | times faster | peak MB |\n|---|---|---|---|---|")
    for what, seconds, megabytes in (
        ("in an empty folder", first["seconds"], first["peak_mb"]), ("second, every stage redone", own, peak)
    ):  # fmt: skip
        print(f"| whole run, {what} | {seconds:.1f} | {theirs:.0f} | {theirs / seconds:.1f} | {megabytes:.0f} |")
    for row in rows:
        print(f"| {row['what']} | {row['seconds']:.2f} | | | {row['peak_mb']:.0f} |")
    timings = {
        stage: float(np.median([run["timings"].get(stage, 0) for run in rounds])) for stage in rounds[0]["timings"]
    }
    print("\n| where the second run's seconds go | s |\n|---|---|")
    for stage, seconds in timings.items():
        print(f"| {stage} | {seconds:.2f} |")
    print(f"| process start and end | {own - sum(timings.values()):.2f} |")
    rows += [
        {
            "what": "run",
            "first": first["seconds"],
            "seconds": own,
            "notebook": theirs,
            "peak_mb": peak,
            "timings": timings,
        }
    ]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"\nJSON lines in {options.out}")


if __name__ == "__main__":
    main()
