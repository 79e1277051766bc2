"""Commands on the published table: look-ups, versions, changes, exports, checks."""

import os
from pathlib import Path
from typing import Any

import click

from flows.cli.options import json_option, load_given, table_option


@click.command()
@click.argument("user_id")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many items.")
@click.option("--all", "include_seen", is_flag=True, help="Also items that the user has rated.")
@click.option("--model", metavar="NAME", help="Whose predictions.  [default: the champion's]")
@click.option("--why", is_flag=True, help="Also the user's own ratings that speak most for each item; reads MLflow.")
@table_option
@json_option
def top(
    user_id: str, k: int, include_seen: bool, model: str | None, why: bool, table: str | None, as_json: bool
) -> None:  # fmt: skip
    """A user's best items from the published table."""
    from flows.cli.lookup import print_top

    settings = load_given(None, {"table": table}) if why else None
    print_top(
        _table_path(table), user_id, k=k, unseen_only=not include_seen, model=model, as_json=as_json, why=settings
    )  # fmt: skip


@click.command()
@click.argument("item_id")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many items.")
@table_option
@json_option
def similar(item_id: str, k: int, table: str | None, as_json: bool) -> None:
    """The items nearest to one, by the model that made the published table.

    The model is read from MLflow.
    """
    from flows.cli.reasons import print_similar

    print_similar(load_given(None, {"table": table}), item_id, k=k, as_json=as_json)


@click.command()
@click.argument("version", required=False)
@table_option
@json_option
def verify(version: str | None, table: str | None, as_json: bool) -> None:
    """Check a published snapshot to the last pair.

    Against its manifest: rows, bytes, sha256, every pair once. VERSION is by default the one that readers see.
    """
    from flows.cli.lookup import print_verified

    print_verified(_table_path(table), version, as_json=as_json)


@click.command()
@table_option
@json_option
def versions(table: str | None, as_json: bool) -> None:
    """List the published snapshots that are kept.

    The newest is the last; a star marks the one that readers see.
    """
    from flows.cli.lookup import print_versions

    print_versions(_table_path(table), as_json=as_json)


@click.command()
@click.option("--since", metavar="VERSION", help="An earlier version that is kept.  [default: the one before]")
@click.option("--to", "target", metavar="FILE", type=click.Path(path_type=Path), help="Write all, as csv or parquet.")
@table_option
@json_option
def changes(since: str | None, target: Path | None, table: str | None, as_json: bool) -> None:
    """Print what entered, left or moved in the champion's lists.

    Between the version that readers see and an earlier one.
    """
    from flows.cli.changes import print_changes

    print_changes(_table_path(table), since, target, as_json=as_json)


@click.command()
@click.argument(
    "name", metavar="[TABLE]", default="top", type=click.Choice(["top", "predictions", "changes", "titles"])
)  # fmt: skip
@click.option(
    "--to", "target", required=True, metavar="TARGET",
    help="out.duckdb, out.parquet, out.csv, out.csv.gz, or postgresql://user@host/database?table=name.",
)  # fmt: skip
@click.option("--all", "all_pairs", is_flag=True, help="Every pair: the same as the table predictions.")
@click.option("--version", metavar="VERSION", help="An earlier version that is kept.  [default: what readers see]")
@table_option
@json_option
def export(name: str, target: str, all_pairs: bool, version: str | None, table: str | None, as_json: bool) -> None:
    """Write one table of the champion for another system.

    TABLE is top (the best unseen items, the default), predictions, changes or titles. The file appears when it is
    whole; in a DuckDB file or on a Postgres server the table is replaced in one transaction. The same command again
    resumes an export that was killed.
    """
    from flows.cli.export import export_table

    chosen: Any = "predictions" if all_pairs else name
    export_table(_table_path(table), chosen, target, version=version, as_json=as_json)


@click.command()
@click.argument("version", required=False)
@table_option
@json_option
def rollback(version: str | None, table: str | None, as_json: bool) -> None:
    """Point the table back at an earlier snapshot.

    That is VERSION, or the snapshot before the current one.
    """
    from flows.cli.lookup import print_rollback

    print_rollback(_table_path(table), version, as_json=as_json)


def _table_path(table: str | None) -> str:
    """The table's folder or URI, without the start-up cost of the settings tree where no file has to be read."""
    if path := table or os.environ.get("RECOBATCH_TABLE__PATH"):
        return path
    if not Path("recobatch.toml").exists():
        return "predictions"
    from flows.settings.load import load_settings

    return load_settings().table.path
