"""One table of a version, written elsewhere: a file through DuckDB, which only this module imports, or to Postgres.

The other end changes in one step: a file appears under its name when it is whole, and a table in a database is replaced
in one transaction. An export that was killed is started again from the first row.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.errors import BadInput, BadTable, RecobatchError
from recobatch.storage.durable import explained
from recobatch.storage.scratch import sweep, temporary_folder
from recobatch.table.postgres import copy_to_postgres, is_postgres, parse_target
from recobatch.table.published import Published

Exported = Literal["top", "predictions", "changes", "titles"]
OnRows = Callable[[int], None]
"""Called with the number of rows read since the last call."""

_COPIES = {
    ".parquet": "FORMAT parquet, COMPRESSION zstd",
    ".csv": "FORMAT csv, HEADER",
    ".csv.gz": "FORMAT csv, HEADER, COMPRESSION gzip",
}
_BATCH_ROWS = 1 << 17
_SCRATCH = "recobatch-export"


def rows_to_export(snapshot: Published, name: Exported) -> int:
    """Number of rows of a table of the champion.

    Raises:
        BadTable: If the version has no such table.
    """
    return sum(pq.ParquetFile(part).metadata.num_rows for part in _parts(snapshot, name))


def check_target(target: str, name: Exported) -> str:
    """Refuse a target that cannot be written, before anything is read.

    Args:
        target: A file, or the address of a Postgres server.
        name: Which table is to be exported.

    Returns:
        The target as it may be shown: without user and password.

    Raises:
        BadInput: If it is another address or one that is malformed, or a name that tells no format; or if DuckDB or
            psycopg2 is not installed.
    """
    if is_postgres(target):
        return parse_target(target, default=name).shown
    if "://" in target:
        kind = target.partition("://")[0]
        raise BadInput(
            f"--to: found an address of {kind}, expected postgresql://… or a file: out.duckdb, out.parquet, out.csv or "
            f"out.csv.gz; write a file and load it there"
        )
    if _suffix(target) is None:
        raise BadInput(
            f"--to: found {Path(target).name!r}, expected a name that ends in .duckdb, .parquet, .csv or .csv.gz; "
            f"correct it"
        )
    _import_duckdb()
    return target


def export(snapshot: Published, name: Exported, target: str, on_rows: OnRows | None = None) -> int:
    """Write a table of the champion to a file, or to a table of the same name in a DuckDB file or on a Postgres server.

    Args:
        snapshot: A published version.
        name: Which table.
        target: A file, whose suffix says the format, or an address of Postgres, where ``?table=`` gives another name.
            Other tables in an existing DuckDB file or on a server stay as they are.
        on_rows: Called while rows are read.

    Returns:
        Rows written.

    Raises:
        BadInput: As ``check_target``.
        BadTable: If the version has no such table, or it cannot be read.
        RecobatchError: If the target cannot be written; what was there before stands.
    """
    check_target(target, name)
    parts = _parts(snapshot, name)
    schema = pq.ParquetFile(parts[0]).schema_arrow.remove_metadata()
    batches = _batches(parts, schema, on_rows)
    if is_postgres(target):
        comment = f"recobatch: {name} of version {snapshot.version}"
        return copy_to_postgres(parse_target(target, default=name), schema, batches, comment=comment)
    return _write_file(pa.RecordBatchReader.from_batches(schema, batches), name, Path(target))


def _write_file(rows: pa.RecordBatchReader, name: Exported, target: Path) -> int:
    duckdb, suffix = _import_duckdb(), _suffix(str(target))
    try:
        if suffix != ".duckdb":
            return _replace_file(target, lambda path: _copy(duckdb, rows, path, _COPIES[suffix or ""]))
        if not target.exists():
            return _replace_file(target, lambda path: _load(duckdb, rows, path, name))
        return _load(duckdb, rows, target, name)
    except duckdb.Error as error:
        raise RecobatchError(
            f"{target}: found that DuckDB could not write it ({' '.join(str(error).split())[:200]}), expected a "
            f"free name or a DuckDB file that no other process writes to; what was there stands, export again"
        ) from error


def _batches(parts: list[Path | pa.NativeFile], schema: pa.Schema, on_rows: OnRows | None) -> Iterator[pa.RecordBatch]:
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(_BATCH_ROWS):
            yield batch.cast(schema)
            if on_rows is not None:
                on_rows(batch.num_rows)


def _copy(duckdb: Any, rows: pa.RecordBatchReader, path: Path, options: str) -> int:  # noqa: ANN401
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = true")
        connection.register("exported", rows)
        found = connection.execute(f"COPY (FROM exported) TO {_quoted(str(path))} ({options})").fetchall()
    return int(found[0][0])


def _load(duckdb: Any, rows: pa.RecordBatchReader, path: Path, name: str) -> int:  # noqa: ANN401
    with duckdb.connect(str(path)) as connection:
        connection.register("exported", rows)
        connection.execute("BEGIN")
        connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM exported")
        found = connection.execute(f"SELECT count(*) FROM {name}").fetchall()  # nosec B608
        connection.execute("COMMIT")
    return int(found[0][0])


def _replace_file(target: Path, write: Callable[[Path], int]) -> int:
    # A process that is killed cannot remove its folder; the next export beside it does.
    with explained("write the export", target, outcome="what was there stands"):
        sweep(target.parent, _SCRATCH)
        with temporary_folder(target.parent, _SCRATCH) as folder:
            count = write(folder / target.name)
            (folder / target.name).replace(target)
    return count


def _parts(snapshot: Published, name: Exported) -> list[Path | pa.NativeFile]:
    if name == "titles":
        found = [snapshot.titles] if snapshot.titles is not None else []
    elif name == "changes":
        found = list(snapshot.files("changes"))
    else:
        found = list(snapshot.parts("table" if name == "predictions" else "top"))
    if not found:
        raise BadTable(f"{snapshot.location}: found no {name}, expected some to export; name another table or version")
    return found


def _suffix(target: str) -> str | None:
    return next((suffix for suffix in (".duckdb", ".csv.gz", *_COPIES) if target.endswith(suffix)), None)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _import_duckdb() -> Any:  # noqa: ANN401 - the module
    try:
        import duckdb
    except ModuleNotFoundError:
        raise BadInput(
            "export: found no DuckDB, expected the package installed; install it with pip install 'recobatch[export]'"
        ) from None
    return duckdb
