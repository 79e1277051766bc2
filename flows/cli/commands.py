"""Arguments → settings → flow. Imports nothing heavy: ``recobatch --help`` answers in 0.3 s."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from flows.cli.evaluate import fold_options, read_folds
from flows.cli.failures import run_command
from flows.cli.options import (
    force_option,
    given_settings,
    job_options,
    json_option,
    load_given,
    preset_option,
    ratings_options,
    set_option,
    table_option,
)
from flows.cli.signals import raise_on_signals
from recobatch import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="recobatch")
def cli() -> None:
    """Predicted ratings of every user-item pair, as a parquet table, on a schedule.

    RATINGS is a dataset name (movielens-100k, the default), a path or a URI: csv, tsv or parquet, compressed or not,
    with or without a header.
    """


@cli.command()
@ratings_options
@job_options
@force_option
def run(ratings: str | None, force: bool, fresh: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """The whole job: ingest, train, compare, score, publish."""
    from flows.cli.start import load_settings_of, started_server

    with started_server() as server:
        settings = load_settings_of(ratings, options)
        from flows.cli.launch import launch

        launch("batch-scoring", settings, server=server, as_json=as_json, fresh=fresh, force=force)


@cli.command()
@ratings_options
@job_options
@click.option("--no-register", is_flag=True, help="Track the models in MLflow, and leave the registry as it is.")
def train(ratings: str | None, fresh: bool, as_json: bool, no_register: bool, **options: Any) -> None:  # noqa: ANN401
    """Ingest to registered models; nothing is scored.

    The champion gets the alias of the registry, from which `recobatch score` starts, if it beats the champion there on
    the same test ratings, and the gates.
    """
    from flows.cli.start import load_settings_of, started_server

    with started_server() as server:
        settings = load_settings_of(ratings, options)
        from flows.cli.launch import launch

        launch("train-models", settings, server=server, as_json=as_json, fresh=fresh, no_register=no_register)


@cli.command()
@ratings_options
@click.option(
    "--model", "models", multiple=True, metavar="NAME", help="Model to tune; may be repeated.  [default: all]"
)
@click.option(
    "--budget", default="60s", show_default=True, metavar="TEXT",
    help='For each model: a duration such as 60s or 10m, or a number of trials such as "200 trials".',
)  # fmt: skip
@click.option("--study", metavar="NAME", help="Name by which the search is resumed; for one model.")
@click.option("--apply", is_flag=True, help="Write the settings of the best model into recobatch.toml.")
@preset_option
@set_option
@json_option
def tune(
    ratings: str | None,
    models: tuple[str, ...],
    budget: str,
    study: str | None,
    apply: bool,
    fresh: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Search for better settings of models.

    Trials are compared on ratings held out from the training part; the test part is not used. A second run with the
    same inputs continues the search.
    """
    from flows.cli.tune import tune_models

    tune_models(
        load_given(ratings, options), models, budget=budget, study=study, apply=apply, fresh=fresh, as_json=as_json
    )


@cli.command()
@ratings_options
@job_options
@force_option
def score(ratings: str | None, force: bool, fresh: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Score every pair with the registered champion and publish.

    Ratings that are new since it was trained are counted, and marked as rated in the table. RATINGS are by default the
    champion's own, as they are now.
    """
    from flows.cli.start import load_settings_of, started_server

    with started_server() as server:
        settings = load_settings_of(ratings, options)
        from flows.cli.launch import launch

        launch("score-pairs", settings, server=server, as_json=as_json, fresh=fresh, force=force)


@cli.command()
@ratings_options
@fold_options
@job_options
def evaluate(
    ratings: str | None, windows: int | None, repeats: int | None, folds: int | None, horizon: str | None, fresh: bool,
    as_json: bool, **options: Any,  # noqa: ANN401
) -> None:  # fmt: skip
    """Measure every model on several folds of the ratings.

    Errors, lists and intervals, beside the baselines and with paired tests. Nothing is registered or published.
    """
    from flows.cli.launch import launch

    divided = read_folds(windows, repeats, folds, horizon)
    launch("evaluate-models", load_given(ratings, options), as_json=as_json, fresh=fresh, folds=divided)


@cli.command()
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


@cli.command()
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


@cli.command()
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


@cli.command()
@click.argument("version", required=False)
@table_option
@json_option
def verify(version: str | None, table: str | None, as_json: bool) -> None:
    """Check a published snapshot to the last pair.

    Against its manifest: rows, bytes, sha256, every pair once. VERSION is by default the one that readers see.
    """
    from flows.cli.lookup import print_verified

    print_verified(_table_path(table), version, as_json=as_json)


@cli.command()
@table_option
@json_option
def versions(table: str | None, as_json: bool) -> None:
    """List the published snapshots that are kept.

    The newest is the last; a star marks the one that readers see.
    """
    from flows.cli.lookup import print_versions

    print_versions(_table_path(table), as_json=as_json)


@cli.command()
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


@cli.command()
@click.argument(
    "name", metavar="[TABLE]", default="top", type=click.Choice(["top", "predictions", "changes", "titles"])
)  # fmt: skip
@click.option("--to", "target", required=True, metavar="FILE", help="out.duckdb, out.parquet, out.csv or out.csv.gz.")
@click.option("--all", "all_pairs", is_flag=True, help="Every pair: the same as the table predictions.")
@click.option("--version", metavar="VERSION", help="An earlier version that is kept.  [default: what readers see]")
@table_option
@json_option
def export(name: str, target: str, all_pairs: bool, version: str | None, table: str | None, as_json: bool) -> None:
    """Write one table of the champion for another system.

    TABLE is top (the best unseen items, the default), predictions, changes or titles. The file appears when it is
    whole; in a DuckDB file the table is replaced in one transaction.
    """
    from flows.cli.export import export_table

    chosen: Any = "predictions" if all_pairs else name
    export_table(_table_path(table), chosen, target, version=version, as_json=as_json)


@cli.command()
@click.argument("version", required=False)
@table_option
@json_option
def rollback(version: str | None, table: str | None, as_json: bool) -> None:
    """Point the table back at an earlier snapshot.

    That is VERSION, or the snapshot before the current one.
    """
    from flows.cli.lookup import print_rollback

    print_rollback(_table_path(table), version, as_json=as_json)


@cli.command()
@click.option("--cron", metavar="EXPR", help='Schedule, as in "0 3 * * *"; without it, runs start from the Prefect UI.')
@click.option("--timezone", default="UTC", show_default=True, help="Time zone of the schedule.")
@ratings_options
@job_options
def serve(
    cron: str | None,
    timezone: str,
    ratings: str | None,
    fresh: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Serve the job to Prefect on a schedule.

    It runs in the foreground, until Ctrl-C.
    """
    from flows.cli.serve import serve_batches
    from flows.settings.load import load_settings, settings_given

    given, assignments = given_settings(ratings, options)
    load_settings(given, assignments)  # an invalid setting is reported now, not when the first run starts
    serve_batches(settings_given(given, assignments), cron=cron, timezone=timezone)


@cli.command()
@preset_option
@set_option
@json_option
def settings(preset: str | None, assignments: tuple[str, ...], as_json: bool) -> None:
    """Print every setting with its value and source.

    A run with the same options, in the same folder and environment, has the same values.
    """
    from flows.cli.inspection import print_settings

    print_settings({"preset": preset} if preset else {}, assignments, as_json=as_json)


@cli.command()
@json_option
def models(as_json: bool) -> None:
    """List the models that can be trained, and the presets that train them."""
    from flows.cli.inspection import print_models

    print_models(as_json=as_json)


@cli.command()
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


@cli.command()
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
    click.echo(f"{path}: {n_ratings:,} ratings of {n_users:,} users and {n_items:,} items")


def _table_path(table: str | None) -> str:
    """The table's folder or URI, without the start-up cost of the settings tree where no file has to be read."""
    if path := table or os.environ.get("RECOBATCH_TABLE__PATH"):
        return path
    if not Path("recobatch.toml").exists():
        return "predictions"
    from flows.settings.load import load_settings

    return load_settings().table.path


def main() -> None:
    """Entry point."""
    raise_on_signals()
    as_json = "--json" in sys.argv[1:]
    sys.exit(run_command(lambda: cli.main(standalone_mode=False), as_json=as_json))
