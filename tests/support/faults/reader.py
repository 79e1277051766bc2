"""A consumer that reads the table over and over: ``python -m tests.support.faults.reader TOOL ROOT PAUSE``.

It runs the very snippets of docs/query: the one at the top of the tool's page, which resolves the version, and the one
that reads the whole table. It counts wrong answers. Every version of a table under test holds the same pairs; where all
its predictions are one number, that number is the version, and elsewhere every version holds the same predictions. It
ends when its standard input closes and prints what it saw.
"""

import json
import select
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.pages import Block, blocks
from tests.support.paths import REPO
from tests.support.snippets import Session

Answer = tuple[int, int, float, float, set[str]]
"""Rows, distinct pairs, least and greatest prediction, versions that the files say they are of."""


def snippets(tool: str, root: Path) -> tuple[Block, Block]:
    """The blocks that resolve the version and that read the whole table, for a table at ``root``."""
    page = blocks(REPO / "docs" / "query" / f"{tool}.md")
    whole = next(block for block in page if block.heading == "The whole table")
    resolve, read = (replace(block, text=block.text.replace("predictions/", f"{root}/")) for block in (page[0], whole))
    assert str(root) in resolve.text
    assert str(root) not in read.text, "the version is resolved once"
    return resolve, read


def pandas_reader(rows: Any, folder: Path) -> Answer:
    import pyarrow.parquet as pq

    pairs = rows[["user_id", "item_id"]].drop_duplicates()
    versions = {pq.read_schema(path).metadata[b"version"].decode() for path in folder.glob("*.parquet")}
    return len(rows), len(pairs), rows.prediction.min(), rows.prediction.max(), versions


def polars_reader(rows: Any, folder: Path) -> Answer:
    import polars as pl

    low, high = rows["prediction"].min(), rows["prediction"].max()
    versions = {pl.read_parquet_metadata(path)["version"] for path in folder.glob("*.parquet")}
    return rows.height, rows.select("user_id", "item_id").n_unique(), low, high, versions


READERS = {"pandas": pandas_reader, "polars": polars_reader}


def python_reads(tool: str, root: Path) -> Callable[[], tuple[str, Answer]]:
    resolve, read = snippets(tool, root)

    def once() -> tuple[str, Answer]:
        session = Session()
        session.run(resolve)
        rows, snapshot = session.run(read), session.names["snapshot"]
        return snapshot.name, READERS[tool](rows, snapshot / "champion")

    return once


def duckdb_reads(root: Path) -> Callable[[], tuple[str, Answer]]:
    import duckdb

    session = Session()
    session.database = duckdb.connect(config={"threads": 1})
    resolve, read = snippets("duckdb", root)
    whole = read.text.strip().removesuffix(";")
    count = f"select count(*), count(distinct (user_id, item_id)), min(prediction), max(prediction) from ({whole})"
    versions = (
        "select distinct decode(value) from parquet_kv_metadata(getvariable('snapshot') || '/champion/*.parquet') "
        "where decode(key) = 'version'"
    )

    def once() -> tuple[str, Answer]:
        session.run(resolve)
        ((snapshot,),) = session.run(replace(read, text="select getvariable('snapshot')"))
        (answer,) = session.run(replace(read, text=count))
        found = {version for (version,) in session.run(replace(read, text=versions))}
        return Path(snapshot).name, (*answer, found)

    return once


def is_right(answer: Answer, version: str, first: Answer) -> bool:
    rows, pairs, low, high, versions = answer
    if rows != pairs or rows != first[0] or versions != {version}:
        return False
    return f"v{low:.0f}" == version if low == high else (low, high) == first[2:4]


def main() -> None:
    tool, root, pause, first = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), None
    read = duckdb_reads(root) if tool == "duckdb" else python_reads(tool, root)
    told = {"reads": 0, "versions": 0, "wrong": [], "failed": []}
    seen = set()
    print("ready", flush=True)  # noqa: T201 - the signal
    while not select.select([sys.stdin], [], [], pause)[0]:
        try:
            version, answer = read()
        except Exception as error:  # noqa: BLE001 - whatever a library raises is what is counted
            told["failed"].append(repr(error)[:200])
            continue
        first = first or answer
        seen.add(version)
        told["reads"] += 1
        if not is_right(answer, version, first):
            told["wrong"].append([version, *map(str, answer)])
    print(json.dumps(told | {"versions": len(seen)}), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
