"""Commands on a project: its settings, models and earlier batches, what to remove, synthetic ratings."""

from pathlib import Path

import click

from flows.cli.options import json_option, load_given, preset_option, set_option, table_option
from flows.cli.output import echo


@click.command()
@click.argument("batches", nargs=-1, metavar="[BATCH]...")
@click.option(
    "-n", "--newest", default=1, show_default=True, type=click.IntRange(min=1), help="Without BATCH: how many batches."
)
@set_option
@json_option
def compare(batches: tuple[str, ...], newest: int, assignments: tuple[str, ...], as_json: bool) -> None:
    """Compare the models of earlier batches.

    They are shown as MLflow keeps them; those of several batches with the change from one to the next.
    """
    from flows.cli.compare import print_batches

    print_batches(load_given(None, {"assignments": assignments}), batches, newest=newest, as_json=as_json)


@click.command()
@preset_option
@set_option
@json_option
def settings(preset: str | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """Print every setting with its value and source.

    A run with the same options, in the same folder and environment, has the same values.
    """
    from flows.cli.inspection import print_settings

    print_settings({"preset": preset} if preset else {}, assignments, as_json=as_json)


@click.command()
@json_option
def models(as_json: bool) -> None:
    """List the models that can be trained, and the presets that train them."""
    from flows.cli.inspection import print_models

    print_models(as_json=as_json)


@click.command()
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
@click.option(
    "--keep-days", default=30.0, show_default=True, type=click.FloatRange(min=0),
    help="Keep reports and MLflow artifacts that are younger.",
)  # fmt: skip
@table_option
@set_option
@json_option
def clean(dry_run: bool, keep_days: float, table: str | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """Remove old reports, stage outputs and MLflow artifacts.

    Reports and artifacts of versions that the table keeps, or that the registry's aliases need, stay; so do all params
    and metrics.
    """
    from flows.cli import clean as cleaning

    settings = load_given(None, {"assignments": assignments, "table": table})
    cleaning.clean(settings, keep_days=keep_days, dry_run=dry_run, as_json=as_json)


@click.command()
@click.option("--users", "n_users", required=True, type=click.IntRange(min=1), help="How many users.")
@click.option("--items", "n_items", required=True, type=click.IntRange(min=1), help="How many items.")
@click.option(
    "--ratings", "n_ratings", required=True, type=click.IntRange(min=1), help="How many ratings, of pairs that differ."
)
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="The same one gives the same file."
)
@click.argument("path", type=click.Path(path_type=Path))
def synth(n_users: int, n_items: int, n_ratings: int, seed: int, path: Path) -> None:
    """Write synthetic ratings with a known truth.

    PATH is csv or parquet by its suffix; the low-rank truth lies beside it.
    """
    from recobatch.sources.synthetic import write_synthetic

    write_synthetic(path, n_users=n_users, n_items=n_items, n_ratings=n_ratings, seed=seed)
    echo(f"{path}: {n_ratings:,} ratings of {n_users:,} users and {n_items:,} items")
