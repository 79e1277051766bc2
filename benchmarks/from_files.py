"""The job's stages from a folder of parquet files to both Keras models of preset `tuned`, one epoch each: peak memory.

    .venv/bin/python benchmarks/from_files.py [--ratings 25000000] [--files 40] [--folder FOLDER]

One process runs all stages, as a batch does, and reads its most resident memory after each; the files are written by
another. Prints one JSON object a stage, the last one of the whole.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FACTORS = 4
"""Of the truth that the ratings follow."""


def write_files(folder: Path, n_ratings: int, n_files: int) -> None:
    """Ratings of a low-rank truth in the proportions of MovieLens 25M, every user's within one file."""
    scale = (n_ratings / 25e6) ** 0.5
    n_users, n_items = round(162_541 * scale), round(59_047 * scale)
    rng = np.random.default_rng(0)
    users, items = (rng.normal(scale=0.5, size=(n, FACTORS)).astype(np.float32) for n in (n_users, n_items))
    popularity = np.cumsum(1 / np.arange(1, n_items + 1) ** 0.8)
    folder.mkdir(parents=True)
    for number in range(n_files):
        owners = np.arange(number, n_users, n_files)
        user = np.sort(rng.choice(owners, n_ratings // n_files))
        item = np.searchsorted(popularity, rng.random(len(user)) * popularity[-1]).astype(np.int64)
        keep = np.unique(user.astype(np.int64) * n_items + item, return_index=True)[1]
        user, item = user[keep], item[keep]
        truth = 3.5 + (users[user] * items[item]).sum(1) + rng.normal(scale=0.5, size=len(user))
        rating = np.clip(np.round(2 * truth) / 2, 0.5, 5).astype(np.float32)
        times = rng.integers(1_000_000_000, 1_600_000_000, len(user))
        columns = {"user_id": user + 1, "item_id": item + 1, "rating": rating, "timestamp": times}
        pq.write_table(pa.table(columns), folder / f"part-{number:03d}.parquet")


def run_stages(source: Path, out: Path) -> None:
    """Every stage in this process."""
    from recobatch.encode import encode
    from recobatch.evaluation.baselines import baseline_errors
    from recobatch.ingest import IngestOptions, ingest
    from recobatch.interactions import Split
    from recobatch.reading import ReadOptions
    from recobatch.split import SplitOptions, split_file
    from recobatch.training import PRESETS
    from recobatch.training.fit import TrainingInputs, fit

    report = stage("ingest", lambda: ingest(str(source), ReadOptions(), IngestOptions(), out))
    encoded = stage("encode", lambda: encode(report.ratings_path, out))
    stage("split", lambda: split_file(encoded.interactions_path, SplitOptions(), out))
    parts = stage("load", lambda: Split.load(out, times=False))
    stage("baselines", lambda: baseline_errors(train=parts.train, test=parts.test))
    tuned = PRESETS["tuned"]
    recipe = tuned.recipe.model_copy(update={"epochs": 1, "refit": False})
    for name in ("explicit_mf", "explicit_mf_bias"):
        inputs = TrainingInputs(encoded, parts, (0.5, 5.0), tuned.options, recipe, seed=0)
        (out / name).mkdir()
        done = stage(f"train {name}", lambda name=name, inputs=inputs: fit(name, inputs, out / name))
        print(json.dumps({"epoch_seconds": done.history.seconds, "test_mse": done.test.mse}), flush=True)


def stage(name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the stage returns
    """Do a stage's work and print what it took."""
    began, cpu = time.perf_counter(), time.process_time()
    result = work()
    print(json.dumps({
        "stage": name, "seconds": round(time.perf_counter() - began, 1), "cpu": round(time.process_time() - cpu, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }), flush=True)  # fmt: skip
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=25_000_000)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--folder", type=Path, help="where files are made; by default a temporary one")
    parser.add_argument("--only", choices=("files", "stages"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only == "files":
        write_files(options.folder / "ratings", options.ratings, options.files)
    elif options.only == "stages":
        run_stages(options.folder / "ratings", options.folder / "out")
    else:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            (Path(folder) / "out").mkdir()
            for only in ("files", "stages"):
                arguments = [f"--ratings={options.ratings}", f"--files={options.files}", f"--folder={folder}"]
                subprocess.run([sys.executable, __file__, *arguments, f"--only={only}"], check=True)


if __name__ == "__main__":
    main()
