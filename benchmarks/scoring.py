"""Scoring, publishing, ranking and look-ups against the machine's limit and against other tools.

    python benchmarks/scoring.py                    a few minutes
    python benchmarks/scoring.py --full             all 71,567 × 10,681 pairs; needs 5 GB of disk

The ranking is compared with implicit and the cross join with Spark, each in an environment of its own under
benchmarks/out/peers, made on first use; a tool that does not install is named with the reason. Prints a markdown table
and writes JSON lines, with CPU seconds as well, which a busy machine falsifies less. Every run is a process of its own,
ours and the other's in turn, and the median counts. Factors are random, scaled so that predictions spread as those of a
trained model do; the digits of a float32 are as incompressible either way.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from environments import Missing, python_with
from scoring_runs import make_inputs

SMALL = (943, 1682, 50, 100_000)
LARGE = (71_567, 10_681, 40, 10_000_054)
"""Users, items, factors, rated pairs: MovieLens 100k and 10M."""
THREADS = os.cpu_count() or 1


@dataclass(frozen=True)
class Row:
    """One line of the table: medians of ours and of the other's."""

    what: str
    ours: float
    theirs: float
    unit: str
    other: str
    """Whose figure ``theirs`` is."""
    better: float
    """How many times better ours is."""
    cpu_better: float | None
    """The same in CPU seconds, which say more than the clock's on a busy machine."""
    runs: int
    peak_mb: float
    their_peak_mb: float
    note: str = ""


def compare(what: str, ours: list[dict], theirs: list[dict], other: str, *, scale: float = 1, note: str = "") -> Row:
    """A row of seconds; ``scale`` stretches theirs, where they did a part of the work."""
    own, rival = median(ours), scale * median(theirs)
    cpu = None if theirs[0]["cpu"] is None else scale * median(theirs, "cpu") / median(ours, "cpu")
    return Row(what, own, rival, "s", other, rival / own, cpu, len(ours), peak(ours), peak(theirs), note)


def per_second(row: Row, rows: int, *, note: str = "") -> Row:
    """The same row in millions of rows a second."""
    return replace(
        row, ours=rows / row.ours / 1e6, theirs=rows / row.theirs / 1e6, unit="M rows/s", note=note or row.note
    )


def measured(name: str, *arguments: str) -> dict:
    """Run one measurement in a fresh process."""
    command = [sys.executable, str(Path(__file__).with_name("scoring_runs.py")), name, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def alternate(runs: int, *each: Callable[[], dict]) -> list[list[dict]]:
    """Run the rivals in turn, so that a busy moment of the machine hits all of them."""
    rounds = [[call() for call in each] for _ in range(runs)]
    return [list(results) for results in zip(*rounds, strict=True)]


def median(results: list[dict], key: str = "seconds") -> float:
    return statistics.median(result[key] for result in results)


def peak(results: list[dict]) -> float:
    return max(result["peak_mb"] for result in results)


def bench_small(folder: Path, runs: int) -> Iterator[Row]:
    for name, seed in (("a", 1), ("b", 2)):
        make_inputs(folder / "small" / name, *SMALL, seed=seed)
    small, out = str(folder / "small"), str(folder / "out-small")
    ours, with_top, limit, keras = alternate(
        runs,
        lambda: measured("publish", small, out, "a,b", "943", "0"),
        lambda: measured("publish", small, out, "a,b", "943", "100"),
        lambda: measured("bare", small, f"{out}-bare", "a,b", "943"),
        lambda: measured("keras", f"{small}/a", "40000"),
    )
    shape, model_predict = "ML-100k shape, two models, to a published snapshot", 2 * 943 * 1682 / 40_000
    yield compare(shape, ours, limit, "bare limit")
    yield compare(f"{shape} with best 100", with_top, limit, "bare limit without them")
    yield compare(
        shape,
        ours,
        keras,
        "model.predict in batches of 32",
        scale=model_predict,
        note="theirs scaled from 40,000 pairs",
    )


def bench_large(folder: Path, runs: int, users: int) -> Iterator[Row]:
    make_inputs(folder / "large" / "a", *LARGE, seed=3)
    large, out, n_items = str(folder / "large"), folder / "out-large", LARGE[1]
    quarter, part = max(1, users // 4), min(users, 6_400)
    ours, limit, less, slice_ours, slice_duckdb = alternate(
        runs,
        lambda: measured("publish", large, str(out), "a", str(users), "0"),
        lambda: measured("bare", large, f"{out}-bare", "a", str(users)),
        lambda: measured("publish", large, f"{out}-quarter", "a", str(quarter), "0"),
        lambda: measured("publish", large, f"{out}-slice", "a", str(part), "0"),
        lambda: measured("duckdb", f"{large}/a", f"{out}-duckdb", str(part)),
    )
    size = f"{median(ours, 'bytes_per_row'):.2f} bytes a row; {peak(less):.0f} MB for a quarter of the users"
    row = compare(f"{users * n_items / 1e6:.0f} M pairs to a published snapshot", ours, limit, "bare limit")
    yield per_second(row, users * n_items, note=size)
    row = compare(f"{part * n_items / 1e6:.0f} M pairs of it", slice_ours, slice_duckdb, "DuckDB cross join + COPY")
    yield per_second(row, part * n_items)


def bench_look_ups(table: Path, runs: int) -> Iterator[Row]:
    tools = ("ours", "duckdb", "duckdb-cached", "polars")
    found = alternate(runs, *(lambda tool=tool: measured("look_up", str(table), tool) for tool in tools))
    for tool, theirs in zip(tools[1:], found[1:], strict=True):
        row = compare("one user from it, warm: best_items, and all rows", found[0], theirs, tool)
        note = f"their first query {1e3 * median(theirs, 'first'):.0f} ms"
        yield replace(row, ours=1e3 * row.ours, theirs=1e3 * row.theirs, unit="ms", note=note)


def bench_ranking(folder: Path, runs: int, users: int, python: str) -> Iterator[Row]:
    large, ids = folder / "large" / "a", folder / "implicit.npy"

    def implicit() -> dict:
        return elsewhere(python, "scoring_implicit.py", str(large), str(users), str(ids))

    out = folder / "top"
    ours, both, theirs = alternate(
        runs,
        lambda: measured("rank", str(large), str(out), str(users), "prediction"),
        lambda: measured("rank", str(large), f"{out}-both", str(users), "product"),
        implicit,
    )
    what = f"best 100 unseen of {users:,} users, {LARGE[1]:,} items"
    yield compare(what, ours, theirs, "implicit", note=same_ranking(out, np.load(ids)))
    yield compare(f"{what}, by interest and rating", both, theirs, "implicit", note="two products, theirs one")


def bench_spark(folder: Path, runs: int, users: int, python: str) -> Iterator[Row]:
    large, part = folder / "large", min(users, 1_600)

    def spark() -> dict:
        out = tempfile.mkdtemp(dir=folder)
        return elsewhere(python, "scoring_spark.py", str(large / "a"), str(part), f"{out}/table", str(THREADS))

    ours, theirs = alternate(
        runs, lambda: measured("publish", str(large), f"{folder}/spark", "a", str(part), "0"), spark
    )
    row = compare(f"{part * LARGE[1] / 1e6:.0f} M pairs of it", ours, theirs, "Spark cross join + pandas UDF + write")
    yield per_second(row, part * LARGE[1], note="start-up not counted; memory of its virtual machine")


def elsewhere(python: str, script: str, *arguments: str) -> dict:
    """Run a rival's script with the interpreter that has the rival."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(THREADS)}
    done = subprocess.run(
        [python, str(Path(__file__).with_name(script)), *arguments], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        raise SystemExit(f"{script}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def same_ranking(out: Path, theirs: np.ndarray) -> str:
    """How many of the pairs both chose; they may differ where scores tie."""
    parts = sorted(out.glob("*.parquet"), key=lambda path: int(path.stem))
    items = np.concatenate([pq.read_table(part)["item_id"].to_numpy() for part in parts]).reshape(theirs.shape) - 1
    same = (np.sort(items, axis=1) == np.sort(theirs, axis=1)).mean()
    return f"{100 * same:.3f} % the same items"


def tell(rows: list[Row], out: Path) -> None:
    print(f"\n{platform.processor() or platform.machine()}, {THREADS} cores, Python {platform.python_version()}\n")
    print("| what | ours | the other | whose | times better | in CPU | peak MB | its peak MB | |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        cpu = "" if row.cpu_better is None else f"{row.cpu_better:.2f}"
        both = f"{row.ours:.3g} {row.unit} | {row.theirs:.3g} {row.unit}"
        print(f"| {row.what} | {both} | {row.other} | {row.better:.2f} | "
              f"{cpu} | {row.peak_mb:.0f} | {row.their_peak_mb:.0f} | {row.note} |")  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    print(f"\nMedians of {rows[0].runs} runs; JSON lines in {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all 71,567 users instead of 6,000")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out" / "scoring.jsonl")
    arguments = parser.parse_args()
    users = LARGE[0] if arguments.full else 6_000
    with tempfile.TemporaryDirectory(prefix="recobatch-bench-") as name:
        folder = Path(name)
        rows = [*bench_small(folder, arguments.runs), *bench_large(folder, arguments.runs, users)]
        rows += bench_look_ups(folder / "out-large", arguments.runs)
        for tool, bench in (("implicit", bench_ranking), ("spark", bench_spark)):
            try:
                rows += bench(folder, arguments.runs, users, str(python_with(tool)))
            except Missing as reason:
                print(f"{tool} did not install: {reason}", file=sys.stderr)
    tell(rows, arguments.out)


if __name__ == "__main__":
    main()
