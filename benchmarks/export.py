"""``recobatch export`` beside the plain COPY of DuckDB from the same parquet files, in rows a second.

    python benchmarks/export.py            5 M pairs, and lists of 100 items for 5,000 users: 90 s
    python benchmarks/export.py --full     20 M pairs, 20,000 users: seven minutes

The peer of Postgres is DuckDB's COPY to a csv file, then Postgres' COPY from it and the same index; a server of its
own is started where its programs are installed. Each run writes a new target, in turn; medians, and a markdown table.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import duckdb
import psycopg2
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from recobatch.table import Published, open_table
from recobatch.table.export import export
from recobatch.table.pieces import Exported, Rows
from tests.support.postgres_server import postgres_server, programs
from tests.support.small_table import make_model, publish, write_inputs

ITEMS = 1_000
COPIES = {
    ".parquet": "FORMAT parquet, COMPRESSION zstd",
    ".csv": "FORMAT csv, HEADER",
    ".csv.gz": "FORMAT csv, HEADER, COMPRESSION gzip",
}
TYPES = {"int64": "bigint", "int32": "integer", "float": "real", "bool": "boolean"}


def copy_to_file(source: str, target: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM {source}) TO '{target}' ({COPIES[''.join(target.suffixes)]})")


def create_table(source: str, target: Path) -> None:
    with duckdb.connect(str(target)) as connection:
        connection.execute(f"CREATE TABLE ours AS FROM {source}")


def copy_to_server(source: str, rows: Rows, url: str, folder: Path) -> None:
    columns = ", ".join(f"{field.name} {TYPES[str(field.type)]}" for field in rows.schema)
    copy_to_file(source, folder / "rows.csv")
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS plain; CREATE TABLE plain ({columns})")
        with (folder / "rows.csv").open() as file:
            cursor.copy_expert("COPY plain FROM STDIN (FORMAT csv, HEADER)", file)
        cursor.execute("CREATE INDEX ON plain (user_id)")


def ways(
    snapshot: Published, name: Exported, url: str | None, folder: Path
) -> Iterator[tuple[str, Callable, Callable]]:
    """Format, our export and the plain one."""
    rows = Rows.of(snapshot, name)
    files = [str(file) for file in dict.fromkeys(piece.file for piece in rows.pieces)]
    source = f"read_parquet({files}, hive_partitioning = false)"
    for suffix in (*COPIES, ".duckdb"):
        plain = create_table if suffix == ".duckdb" else copy_to_file
        ours, theirs = folder / f"ours{suffix}", folder / f"plain{suffix}"
        yield suffix, lambda ours=ours: export(snapshot, name, str(ours)), lambda f=plain, t=theirs: f(source, t)
    if url is not None:
        target = f"{url}?table=ours"
        yield "Postgres", lambda: export(snapshot, name, target), lambda: copy_to_server(source, rows, url, folder)


def seconds(run: Callable[[], object], folder: Path) -> float:
    for left in folder.iterdir():
        left.unlink()
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="20,000 users")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="formats, as .csv")
    options = parser.parse_args()
    try:
        programs()
        server = postgres_server()
    except pytest.skip.Exception:
        server = nullcontext(None)
    print("| table | to | recobatch, M rows/s | plain COPY, M rows/s | ratio |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="recobatch-bench-") as name, server as url:
        root, out = Path(name), Path(name, "out")
        out.mkdir()
        inputs = write_inputs(root / "in", make_model(20_000 if options.full else 5_000, ITEMS))
        snapshot = publish(open_table(root / "predictions"), "v1", inputs, top=100)
        for table in ("predictions", "top"):
            count = Rows.of(snapshot, table).count / 1e6
            for target, ours, plain in ways(snapshot, table, url and f"{url}/postgres", out):
                if options.only and target not in options.only:
                    continue
                spent = [(seconds(ours, out), seconds(plain, out)) for _ in range(options.runs)]
                mine, theirs = (count / statistics.median(column) for column in zip(*spent, strict=True))
                ratio = statistics.median(other / own for own, other in spent)
                print(f"| {table}, {count:.1f} M | {target} | {mine:.2f} | {theirs:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
