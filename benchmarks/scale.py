"""The terms of the cost model of docs/scale.md: seconds, bytes and memory of very many pairs, beside the bare limit.

    .venv/bin/python benchmarks/scale.py pairs [--users 16254]     a tenth of MovieLens 25M's users, every pair: 6 GB
    .venv/bin/python benchmarks/scale.py pairs --users 480189 --items 17770   the shape of the Netflix prize's ratings
    .venv/bin/python benchmarks/scale.py lists [--users 1000000]   lists alone, of 20,000 of the users

Prints one JSON object a line. Seconds of the processor say more than those of the clock on a busy machine.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from scoring_runs import THREADS, bare, clock, look_up, peak_mb, publish

from recobatch.blas import one_blas_thread
from recobatch.factors import FactorModel, Link
from recobatch.model_folder import LoadedModel, ModelFolder
from recobatch.rated import RatedPairs
from recobatch.scoring.kernel import BLOCK_USERS, ScoringKernel
from recobatch.scoring.top import top_shard
from recobatch.table import open_table
from recobatch.vocabulary import Vocabulary

ITEMS = {"pairs": 59_047, "lists": 200_000}
FACTORS = 40
SLICE = 20_000
"""Users whose lists are measured."""


def make_model(folder: Path, users: int, items: int, rated_each: int) -> None:
    """Random factors, and as many rated items for every user."""
    rng = np.random.default_rng(7)

    def normal(scale: float, *shape: int) -> np.ndarray:
        return scale * rng.standard_normal(shape, dtype=np.float32)

    scale = (0.6 / FACTORS**0.5) ** 0.5
    model = FactorModel(
        normal(scale, users, FACTORS), normal(scale, items, FACTORS), normal(0.4, users), normal(0.5, items), 0.5,
        Link.SCALED_SIGMOID, 1.0, 5.0,
    )  # fmt: skip
    first = rng.integers(0, items - 97 * rated_each, users, dtype=np.int32)
    item = (first[:, None] + 97 * np.arange(rated_each, dtype=np.int32)).ravel()
    rated = RatedPairs(np.arange(users + 1, dtype=np.int64) * rated_each, item, items)
    folder.mkdir(parents=True)
    LoadedModel(model, Vocabulary(pa.arange(1, users + 1)), Vocabulary(pa.arange(1, items + 1)), rated).save(folder)


def pairs(folder: Path, users: int) -> None:
    """Every pair: to a published snapshot, verified, and looked up."""
    report("publish", **apart("publish", folder, users))
    report("bare", **apart("bare", folder, users))
    for path in (folder / "bare").glob("*"):
        path.unlink()
    report("verify", **apart("verify", folder, users))
    for tool in ("duckdb", "duckdb-cached", "duckdb-file", "polars", "polars-file"):
        report(f"one user's rows with {tool}", **look_up(folder / "out", tool))


def verify(folder: Path) -> dict:
    with clock() as seconds:
        found = open_table(folder / "out").verify()
    assert found.ok, found.problems
    return {"seconds": seconds[0], "cpu": seconds[1], "rows": found.rows, "bytes": found.bytes}


def lists(folder: Path, users: int) -> None:
    """The best 100 unseen items of some users, beside the matrix products that they cannot do without."""
    report("bare products", **apart("products", folder, users))
    report("lists", **apart("rank", folder, users))


def products(folder: Path) -> dict:
    kernel = ScoringKernel.of(ModelFolder(folder / "model").load().model)

    def run(users: slice) -> None:
        for _ in kernel.scores(users):
            pass

    with clock() as seconds, one_blas_thread(), ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(run, _parts(BLOCK_USERS)))
    return {"seconds": seconds[0], "cpu": seconds[1], "pairs": SLICE * ITEMS["lists"]}


def rank(folder: Path) -> dict:
    model, out = ModelFolder(folder / "model"), folder / "lists"
    model.load()
    out.mkdir()
    with clock() as seconds, ThreadPoolExecutor(THREADS) as pool:
        jobs = [
            pool.submit(top_shard, model, part, out / f"{part.start}.parquet", k=100, metadata={})
            for part in _parts(2048)
        ]
        reports = [job.result() for job in jobs]
    rows, size = sum(each.rows for each in reports), sum(each.bytes for each in reports)
    return {"seconds": seconds[0], "cpu": seconds[1], "rows": rows, "bytes_per_row": size / rows}


def _parts(step: int) -> list[slice]:
    """The slice in a part for each thread, of whole steps."""
    half = -(-SLICE // THREADS // step) * step
    return [slice(start, min(SLICE, start + half)) for start in range(0, SLICE, half)]


def apart(what: str, folder: Path, users: int) -> dict:
    """Measure in a process of its own, with its peak memory."""
    command = [sys.executable, __file__, what, "--users", str(users), "--folder", str(folder)]
    found: dict = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def report(what: str, **figures: object) -> None:
    print(json.dumps({"what": what, **figures}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("pairs", "lists", "publish", "bare", "verify", "products", "rank"))
    parser.add_argument("--users", type=int)
    parser.add_argument("--items", type=int, help="of pairs")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what in ("pairs", "lists"):
        users = options.users or {"pairs": 16_254, "lists": 1_000_000}[options.what]
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            started = time.perf_counter()
            items = options.items or ITEMS[options.what]
            make_model(Path(folder, "model"), users, items, 154 if options.what == "pairs" else 20)
            report("inputs", users=users, items=items, seconds=time.perf_counter() - started)
            {"pairs": pairs, "lists": lists}[options.what](Path(folder), users)
        return
    runs = {
        "publish": lambda folder: publish(folder, folder / "out", ["model"], options.users, top=0),
        "bare": lambda folder: bare(folder, folder / "bare", ["model"], options.users),
        "verify": verify, "products": products, "rank": rank,
    }  # fmt: skip
    print(json.dumps(runs[options.what](options.folder) | {"peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
