"""A consumer that reads the table over and over: ``python -m tests.faults.reader pandas|polars|duckdb ROOT``.

It resolves ``current`` first, as consumers are told to, reads rows and the version-telling predictions, and counts
wrong answers. It ends when its standard input closes and prints what it saw.
"""

import json
import select
import sys
from collections.abc import Callable
from pathlib import Path

from tests.faults.numbered import ROWS

Answer = tuple[int, int, float, float]
"""Rows, distinct pairs, least and greatest prediction."""


def pandas_reader() -> Callable[[Path], Answer]:
    import pandas as pd

    def read(folder: Path) -> Answer:
        rows = pd.read_parquet(folder)
        return (
            len(rows),
            len(rows[["user_id", "item_id"]].drop_duplicates()),
            rows.prediction.min(),
            rows.prediction.max(),
        )

    return read


def polars_reader() -> Callable[[Path], Answer]:
    import polars as pl

    def read(folder: Path) -> Answer:
        rows = pl.read_parquet(folder)
        low, high = rows["prediction"].min(), rows["prediction"].max()
        return rows.height, rows.select("user_id", "item_id").n_unique(), low, high

    return read


def duckdb_reader() -> Callable[[Path], Answer]:
    import duckdb

    connection = duckdb.connect(config={"threads": 1})

    def read(folder: Path) -> Answer:
        return connection.execute(
            "select count(*), count(distinct (user_id, item_id)), min(prediction), max(prediction) "
            f"from '{folder}/*.parquet'"
        ).fetchone()

    return read


PAUSE_SECONDS = 0.02
"""Between two reads, so that three readers leave the cores to the writer."""
READERS = {"pandas": pandas_reader, "polars": polars_reader, "duckdb": duckdb_reader}


def main() -> None:
    read, root = READERS[sys.argv[1]](), Path(sys.argv[2])
    told = {"reads": 0, "wrong": [], "failed": []}
    print("ready", flush=True)  # noqa: T201 - the signal
    while not select.select([sys.stdin], [], [], PAUSE_SECONDS)[0]:
        folder = (root / "current" / "champion").resolve(strict=True)
        try:
            rows, pairs, low, high = read(folder)
        except Exception as error:  # noqa: BLE001 - whatever a library raises is what is counted
            told["failed"].append(repr(error)[:200])
            continue
        told["reads"] += 1
        if (rows, pairs) != (ROWS, ROWS) or low != high or f"v{low:.0f}" != folder.parents[1].name:
            told["wrong"].append([str(folder), rows, pairs, float(low), float(high)])
    print(json.dumps(told), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
