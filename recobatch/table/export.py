"""One table of a version, written elsewhere: to a file, through DuckDB, which only this module imports, or to Postgres.

The other end changes in one step: a file appears under its name when it is whole, and a table in a database is replaced
in one transaction. Rows are written in pieces to a scratch place first; an export that broke off is resumed there by
the next one of the same table, version and target.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

import pyarrow as pa

from recobatch.errors import BadInput, RecobatchError
from recobatch.storage.durable import explained, fsync_folder
from recobatch.storage.fingerprints import fingerprint
from recobatch.storage.scratch import resumable_folder
from recobatch.table.export_file import OnRows, build_file
from recobatch.table.pieces import Exported, Rows
from recobatch.table.postgres import copy_to_postgres, is_postgres, parse_target
from recobatch.table.published import Published

_SUFFIXES = (".duckdb", ".csv.gz", ".csv", ".parquet")


def rows_to_export(snapshot: Published, name: Exported) -> int:
    """Number of rows of a table of the champion.

    Raises:
        BadTable: If the version has no such table.
    """
    return Rows.of(snapshot, name).count


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


def export(
    snapshot: Published, name: Exported, target: str, on_rows: OnRows | None = None, on_resume: OnRows | None = None
) -> int:
    """Write a table of the champion to a file, or to a table of the same name in a DuckDB file or on a Postgres server.

    Args:
        snapshot: A published version.
        name: Which table.
        target: A file, whose suffix says the format, or an address of Postgres, where ``?table=`` gives another name.
            Other tables in an existing DuckDB file or on a server stay as they are.
        on_rows: Called with the number of rows read and written since the last call.
        on_resume: Called once with the number of rows that an export which broke off had written.

    Returns:
        Rows written, by both.

    Raises:
        BadInput: As ``check_target``.
        BadTable: If the version has no such table, or it cannot be read.
        RecobatchError: If the target cannot be written, or another export writes it; what was there before stands.
    """
    check_target(target, name)
    rows, calls = Rows.of(snapshot, name), {"on_rows": on_rows or _ignore, "on_resume": on_resume or _ignore}
    if is_postgres(target):
        copy_to_postgres(parse_target(target, default=name), rows, **calls)
    elif _suffix(target) == ".duckdb":
        _write_duckdb(rows, Path(target), **calls)
    else:
        with _scratch(rows, Path(target)) as folder:
            whole = build_file(folder, rows, str(_suffix(target)), **calls)
            whole.replace(target)
            fsync_folder(Path(target).parent)
    return rows.count


@contextmanager
def _scratch(rows: Rows, target: Path) -> Iterator[Path]:
    """A folder beside the target for these rows; what dead exports of others left of the same target is removed."""
    place = fingerprint([target.name, rows.name if target.suffix == ".duckdb" else ""])
    scratch = resumable_folder(
        target.parent, f"recobatch-export-{place[:8]}", fingerprint([place, rows.identity])
    )  # fmt: skip
    outcome = "what was there stands, and the next export resumes this one"
    with explained("write the export", target, outcome=outcome), scratch as folder:
        yield folder
        rmtree(folder, ignore_errors=True)


def _write_duckdb(rows: Rows, target: Path, *, on_rows: OnRows, on_resume: OnRows) -> None:
    duckdb = _import_duckdb()
    try:
        if target.exists():
            duckdb.connect(str(target)).close()  # refused now rather than after the work
        with _scratch(rows, target) as folder:
            _load(duckdb, folder / "rows.duckdb", rows, on_rows=on_rows, on_resume=on_resume)
            if not target.exists():
                (folder / "rows.duckdb").replace(target)
                fsync_folder(target.parent)
                return
            with duckdb.connect(str(target)) as connection:
                connection.execute(f"ATTACH {_quoted(str(folder / 'rows.duckdb'))} AS recobatch_export (READ_ONLY)")
                connection.execute(f"CREATE OR REPLACE TABLE {rows.name} AS FROM recobatch_export.{rows.name}")
                connection.execute("DETACH recobatch_export")
    except duckdb.Error as error:
        raise RecobatchError(
            f"{target}: found that DuckDB could not write it ({' '.join(str(error).split())[:200]}), expected a "
            f"free name or a DuckDB file that no other process writes to; what was there stands, export again"
        ) from error


def _load(duckdb: Any, path: Path, rows: Rows, *, on_rows: OnRows, on_resume: OnRows) -> None:  # noqa: ANN401
    """Write what is missing of a DuckDB file with this table alone, a piece a transaction."""
    done = _whole_pieces(duckdb, path, rows)
    on_resume(sum(piece.rows for piece in rows.pieces[:done]))
    with duckdb.connect(str(path)) as connection:
        connection.register("exported", rows.schema.empty_table())
        connection.execute(f"CREATE TABLE IF NOT EXISTS {rows.name} AS FROM exported")
        for piece in rows.pieces[done:]:
            batches = pa.RecordBatchReader.from_batches(rows.schema, piece.batches(rows.schema))
            connection.register("exported", batches)
            connection.execute(f"INSERT INTO {rows.name} FROM exported")
            on_rows(piece.rows)


def _whole_pieces(duckdb: Any, path: Path, rows: Rows) -> int:  # noqa: ANN401
    """Pieces in a file that an export left; one that cannot be read is removed."""
    if not path.exists():
        return 0
    try:
        with duckdb.connect(str(path)) as connection:
            # The hash makes it read every block, whose checksums DuckDB compares.
            query = f"SELECT count(*), bit_xor(hash(t)) FROM {rows.name} AS t"  # nosec B608
            done = rows.pieces_within(connection.execute(query).fetchall()[0][0])
    except duckdb.Error:
        done = None
    if done is None:
        for left in path.parent.iterdir():
            left.unlink()
    return done or 0


def _ignore(_rows: int) -> None:
    pass


def _suffix(target: str) -> str | None:
    return next((suffix for suffix in _SUFFIXES if target.endswith(suffix)), None)


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
