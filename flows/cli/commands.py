"""Arguments → settings → flow. Imports nothing heavy: ``recobatch --help`` answers in 0.3 s."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flows.cli.signals import raise_on_signals, signal_behind
from recobatch import __version__
from recobatch.errors import RecobatchError

if TYPE_CHECKING:
    from flows.settings.tree import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _options(*decorators: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def apply(command: _Command) -> _Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return apply


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
table_option = click.option(
    "--table", metavar="DIR", help="Folder or URI of the published table.  [default: predictions]"
)
set_option = click.option(
    "--set", "assignments", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting; may be repeated."
)
force_option = click.option("--force", is_flag=True, help="Publish even if nothing changed since what is published.")
job_options = _options(
    click.option("--preset", type=click.Choice(["notebook", "tuned"]), help="Recipe to start from."),
    set_option,
    table_option,
    click.option(
        "--engine", type=click.Choice(["threads", "dask"]), help="Who scores shards: threads, or Dask's workers."
    ),
    json_option,
)
ratings_options = _options(
    click.argument("ratings", required=False),
    click.option("--user-column", metavar="NAME", help="Column of user ids: a name, or a position from 0."),
    click.option("--item-column", metavar="NAME", help="Column of item ids."),
    click.option("--rating-column", metavar="NAME", help="Column of ratings."),
    click.option("--time-column", metavar="NAME", help="Column of timestamps."),
    click.option("--delimiter", metavar="CHAR", help="Field delimiter of a text file."),
    click.option("--fresh", is_flag=True, help="Redo every stage, reuse nothing."),
)


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
    from flows.cli.launch import launch

    launch("batch-scoring", _settings(ratings, options), as_json=as_json, fresh=fresh, force=force)


@cli.command()
@ratings_options
@job_options
def train(ratings: str | None, fresh: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Ingest to registered models; nothing is scored."""
    from flows.cli.launch import launch

    launch("train-models", _settings(ratings, options), as_json=as_json, fresh=fresh)


@cli.command()
@ratings_options
@job_options
@force_option
def score(ratings: str | None, force: bool, fresh: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Score every pair with the registered champion and publish.

    Ratings that are new since it was trained are counted, and marked as rated in the table. RATINGS are by default the
    champion's own, as they are now.
    """
    from flows.cli.launch import launch

    launch("score-pairs", _settings(ratings, options), as_json=as_json, fresh=fresh, force=force)


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

    print_batches(_settings(None, {"assignments": assignments}), batches, newest=newest, as_json=as_json)


@cli.command()
@click.argument("user_id")
@click.option("-k", default=10, show_default=True, type=click.IntRange(min=1), help="How many items.")
@click.option("--all", "include_seen", is_flag=True, help="Also items that the user has rated.")
@click.option("--model", metavar="NAME", help="Whose predictions.  [default: the champion's]")
@table_option
@json_option
def top(user_id: str, k: int, include_seen: bool, model: str | None, table: str | None, as_json: bool) -> None:
    """A user's best items from the published table."""
    from flows.cli.lookup import print_top

    print_top(_table_path(table), user_id, k=k, unseen_only=not include_seen, model=model, as_json=as_json)


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

    given, assignments = _given(ratings, options)
    load_settings(given, assignments)  # an invalid setting is reported now, not when the first run starts
    serve_batches(settings_given(given, assignments), cron=cron, timezone=timezone)


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


def _settings(ratings: str | None, options: dict[str, Any]) -> "Settings":
    from flows.settings.load import load_settings

    return load_settings(*_given(ratings, options))


def _given(ratings: str | None, options: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The options as a tree of settings, and the texts of ``--set``."""
    data = {
        "ratings": ratings,
        **{name: options.pop(name, None) for name in ("user_column", "item_column", "rating_column", "time_column")},
        "delimiter": options.pop("delimiter", None),
    }
    assignments = options.pop("assignments", ())
    table = {"path": options.pop("table", None)}
    return _without_none({**options, "data": data, "table": table}), assignments


def _without_none(tree: dict[str, Any]) -> dict[str, Any]:
    pruned = {key: _without_none(value) if isinstance(value, dict) else value for key, value in tree.items()}
    return {key: value for key, value in pruned.items() if value is not None and value != {}}


def _table_path(table: str | None) -> str:
    """The table's folder or URI, without the start-up cost of the settings tree where no file has to be read."""
    if path := table or os.environ.get("RECOBATCH_TABLE__PATH"):
        return path
    if not Path("recobatch.toml").exists():
        return "predictions"
    from flows.settings.load import load_settings

    return load_settings().table.path


def main() -> None:
    """Entry point: one line on stderr and the proper exit code for whatever goes wrong on purpose."""
    raise_on_signals()
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        click.echo(f"recobatch: {_usage(error)}", err=True)
        code = error.exit_code
    except BaseException as error:
        if stopped := signal_behind(error):
            code = _stopped(*stopped)
        elif isinstance(error, RecobatchError):
            click.echo(f"recobatch: {error}", err=True)
            code = error.exit_code
        else:
            raise
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: click.ClickException) -> str:
    """Wrong usage in one line, and where the right one is told."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    said = " ".join(error.format_message().split()).removesuffix(".")
    return f"{said}; see {context.command_path if context else 'recobatch'} --help"


def _stopped(how: str, code: int) -> int:
    click.echo(f"recobatch: {how}; nothing half-done was published, run again to go on", err=True)
    return code
