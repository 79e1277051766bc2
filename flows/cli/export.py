"""The command ``export``: a table of a published version as a file or a database table for another system."""

from typing import TYPE_CHECKING

from flows.cli.output import echo, echo_json
from flows.progress.display import Display
from recobatch.table import open_table
from recobatch.table.export import check_target, export, rows_to_export

if TYPE_CHECKING:
    from recobatch.table.pieces import Exported


def export_table(table: str, name: "Exported", target: str, *, version: str | None, as_json: bool) -> None:
    """Write a table of the champion to a file or a Postgres server, with a progress bar on a terminal.

    Raises:
        BadInput: If the target cannot be written to, or DuckDB or psycopg2 is missing.
        BadTable: If there is no such version, or it has no such table.
        RecobatchError: If writing fails; what was there before stands.
    """
    shown = check_target(target, name)
    snapshot = open_table(table).snapshot(version)
    display, total = Display(), rows_to_export(snapshot, name)
    with display.live(), display.stage(f"export {name}", total=total) as progress:

        def resume(rows: int) -> None:
            progress.advance(rows)
            if rows:
                echo(f"resumed: {rows:,} of {total:,} rows were there", err=True)

        rows = export(snapshot, name, target, progress.advance, resume)
    if as_json:
        echo_json({"table": name, "version": snapshot.version, "rows": rows, "to": shown})
    else:
        echo(f"{shown}: {rows:,} rows of {name}, version {snapshot.version}")
