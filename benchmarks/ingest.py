"""From a ratings file to a split, beside the least that reading and writing must cost, and beside pandas.

    .venv/bin/python benchmarks/ingest.py [--ratings 1000000] [--repeats 3]

The ratings are a csv, plain and packed, a parquet file, and a folder of parquet files. Every measurement runs in a
process of its own, which tells its peak memory. Prints a markdown table, then the same as JSON lines.
"""

import argparse
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from recobatch.encode import encode
from recobatch.ingest import IngestOptions, ingest
from recobatch.interactions import EncodedInteractions
from recobatch.reading import ReadOptions
from recobatch.sources.synthetic import synthesize
from recobatch.split import SplitOptions, split

USERS_AND_ITEMS = (162_541, 59_047)
"""Of MovieLens 25M; smaller sets have as many users and items less."""
FORMATS = ("csv", "csv.gz", "parquet")
FILES = 40
"""Parquet files of the same ratings in a folder."""
Clock = Callable[[str], None]


def ours(source: Path, out: Path, lap: Clock) -> None:
    report = ingest(str(source), ReadOptions(), IngestOptions(), out)
    lap("ingest")
    encoded = encode(report.ratings_path, out)
    lap("encode")
    interactions = EncodedInteractions.load(encoded.interactions_path)
    parts = split(interactions, SplitOptions())
    lap("split")
    parts.train.save(out / "train.parquet")
    parts.test.save(out / "test.parquet")
    lap("save")


def limit(source: Path, out: Path, lap: Clock) -> None:
    """Typed columns in and out again with pyarrow, nothing looked at."""
    if source.suffix == ".parquet" or source.is_dir():
        table = pq.read_table(source)
    else:
        kinds = {"user_id": pa.int64(), "item_id": pa.int64(), "rating": pa.float32(), "timestamp": pa.int64()}
        with pa.input_stream(str(source), compression="detect") as stream:
            table = pa.csv.read_csv(stream, convert_options=pa.csv.ConvertOptions(column_types=kinds))
    pq.write_table(table, out / "ratings.parquet", compression="zstd", compression_level=1)
    lap("ingest")


def pandas(source: Path, out: Path, lap: Clock) -> None:
    """The same checks, codes and split with the frames that people write."""
    import numpy as np
    import pandas as pd

    frame = pd.read_parquet(source) if source.suffix == ".parquet" or source.is_dir() else pd.read_csv(source)
    frame = frame.dropna(subset=["user_id", "item_id", "rating"])
    frame = frame[np.isfinite(frame["rating"])]
    order = frame.sort_values("timestamp", kind="stable")
    frame = frame.loc[order.drop_duplicates(["user_id", "item_id"], keep="last").index.sort_values()]
    lap("ingest")
    for column in ("user_id", "item_id"):
        frame[column] = pd.factorize(frame[column], sort=True)[0]
    lap("encode")
    size = frame.groupby("user_id")["rating"].transform("size")
    in_train = frame.groupby("user_id").cumcount() < (size * 0.8).round()
    lap("split")
    frame[in_train].to_parquet(out / "train.parquet")
    frame[~in_train].to_parquet(out / "test.parquet")
    lap("save")


WAYS = {"recobatch": ours, "pyarrow, no checks": limit, "pandas": pandas}


def measure(way: str, source: Path) -> dict[str, float]:
    """Seconds of each stage and peak memory, in this process."""
    laps: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=source.parent) as out:
        last = time.perf_counter()

        def lap(stage: str) -> None:
            nonlocal last
            now = time.perf_counter()
            laps[stage], last = now - last, now

        WAYS[way](source, Path(out), lap)
    laps["total"] = sum(laps.values())
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {**laps, "cpu": used.ru_utime + used.ru_stime, "peak_gb": used.ru_maxrss / 2**20}


def measured_apart(way: str, source: Path, repeats: int) -> dict[str, float]:
    """Medians over processes of their own."""
    command = [sys.executable, __file__, "--way", way, "--source", str(source)]
    runs = [json.loads(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(repeats)]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def write_sources(folder: Path, n_ratings: int) -> list[Path]:
    n_users, n_items = (max(50, round(count * min(1, n_ratings / 25e6))) for count in USERS_AND_ITEMS)
    table, _ = synthesize(n_users=n_users, n_items=n_items, n_ratings=n_ratings, seed=0)
    paths = [folder / f"ratings.{suffix}" for suffix in FORMATS]
    for path in paths:
        if path.suffix == ".parquet":
            pq.write_table(table, path)
        else:
            with pa.output_stream(str(path), compression="detect") as stream:
                pa.csv.write_csv(table, stream)
    paths.append(folder / "ratings")
    paths[-1].mkdir()
    each = -(-len(table) // FILES)
    for number in range(FILES):
        pq.write_table(table.slice(number * each, each), paths[-1] / f"part-{number:05d}.parquet")
    return paths


def compare(n_ratings: int, repeats: int, emit: Callable[[str], None]) -> list[dict[str, object]]:
    emit("| file | way | ingest s | encode s | split s | save s | total s | CPU s | peak GB | ours / this |")
    emit("|---|---|---|---|---|---|---|---|---|---|")
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for source in write_sources(Path(folder), n_ratings):
            figures = {way: measured_apart(way, source, repeats) for way in WAYS}
            for way, figure in figures.items():
                shared = "ingest" if "encode" not in figure else "total"
                ratio = figures["recobatch"][shared] / figure[shared]
                stages = " | ".join(f"{figure[name]:.2f}" if name in figure else "" for name in
                                    ("ingest", "encode", "split", "save", "total", "cpu", "peak_gb"))  # fmt: skip
                emit(f"| {source.name} | {way} | {stages} | {ratio:.2f} |")
                rows.append({"benchmark": "ingest", "ratings": n_ratings, "file": source.name, "way": way, **figure,
                             "ratio": ratio, "repeats": repeats})  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.source)))
        return
    print(f"{options.ratings:,} ratings, {os.cpu_count()} cores, median of {options.repeats}\n")
    for row in compare(options.ratings, options.repeats, functools.partial(print, flush=True)):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
