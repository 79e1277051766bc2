"""A consumer that reads the table over and over: ``python -m tests.support.faults.reader TOOL ROOT PAUSE``.

It resolves ``current`` first, as consumers are told to, reads every row and the version in the files' metadata, and
counts wrong answers. Every version of a table under test holds the same pairs; where all its predictions are one
number, that number is the version, and elsewhere every version holds the same predictions. It ends when its standard
input closes and prints what it saw.
"""

import json
import select
import sys
from collections.abc import Callable
from pathlib import Path

Answer = tuple[int, int, float, float, set[str]]
"""Rows, distinct pairs, least and greatest prediction, versions that the files say they are of."""


def pandas_reader() -> Callable[[Path], Answer]:
    import pandas as pd
    import pyarrow.parquet as pq

    def read(folder: Path) -> Answer:
        rows = pd.read_parquet(folder)
        pairs = rows[["user_id", "item_id"]].drop_duplicates()
        versions = {pq.read_schema(path).metadata[b"version"].decode() for path in folder.glob("*.parquet")}
        return len(rows), len(pairs), rows.prediction.min(), rows.prediction.max(), versions

    return read


def polars_reader() -> Callable[[Path], Answer]:
    import polars as pl

    def read(folder: Path) -> Answer:
        rows = pl.read_parquet(folder)
        low, high = rows["prediction"].min(), rows["prediction"].max()
        versions = {pl.read_parquet_metadata(path)["version"] for path in folder.glob("*.parquet")}
        return rows.height, rows.select("user_id", "item_id").n_unique(), low, high, versions

    return read


def duckdb_reader() -> Callable[[Path], Answer]:
    import duckdb

    connection = duckdb.connect(config={"threads": 1})

    def read(folder: Path) -> Answer:
        answer = connection.execute(
            "select count(*), count(distinct (user_id, item_id)), min(prediction), max(prediction) "
            f"from '{folder}/*.parquet'"
        ).fetchone()
        versions = connection.execute(
            f"select distinct decode(value) from parquet_kv_metadata('{folder}/*.parquet') "
            "where decode(key) = 'version'"
        ).fetchall()
        return (*answer, {version for (version,) in versions})

    return read


READERS = {"pandas": pandas_reader, "polars": polars_reader, "duckdb": duckdb_reader}


def is_right(answer: Answer, version: str, first: Answer) -> bool:
    rows, pairs, low, high, versions = answer
    if rows != pairs or rows != first[0] or versions != {version}:
        return False
    return f"v{low:.0f}" == version if low == high else (low, high) == first[2:4]


def main() -> None:
    read, root, pause, first = READERS[sys.argv[1]](), Path(sys.argv[2]), float(sys.argv[3]), None
    told = {"reads": 0, "versions": 0, "wrong": [], "failed": []}
    seen = set()
    print("ready", flush=True)  # noqa: T201 - the signal
    while not select.select([sys.stdin], [], [], pause)[0]:
        folder = (root / "current" / "champion").resolve(strict=True)
        version = folder.parents[1].name
        try:
            answer = read(folder)
        except Exception as error:  # noqa: BLE001 - whatever a library raises is what is counted
            told["failed"].append(repr(error)[:200])
            continue
        first = first or answer
        seen.add(version)
        told["reads"] += 1
        if not is_right(answer, version, first):
            told["wrong"].append([str(folder), *map(str, answer)])
    print(json.dumps(told | {"versions": len(seen)}), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
