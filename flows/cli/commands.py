"""The commands of ``recobatch``. Imports nothing heavy: ``recobatch --help`` answers in 0.3 s."""

import atexit
import gc
import sys
from pathlib import Path

import click

from flows.cli import flow_commands, project_commands, table_commands
from flows.cli.failures import run_command
from flows.cli.output import print_in_any_encoding
from flows.cli.signals import raise_on_signals
from recobatch import __version__
from recobatch.errors import BadInput


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="recobatch")
def cli() -> None:
    """Predicted ratings of every user-item pair, as a parquet table, on a schedule.

    RATINGS is a dataset name (movielens-100k, the default), a path or a URI: csv, tsv or parquet, compressed or not,
    with or without a header.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise BadInput(
            f"found no working folder ({error.strerror}), expected the project's; it was removed or moved: change to "
            f"one that exists"
        ) from None


for command in (
    flow_commands.run,
    flow_commands.train,
    flow_commands.score,
    flow_commands.evaluate,
    flow_commands.tune,
    flow_commands.serve,
    table_commands.top,
    table_commands.similar,
    table_commands.verify,
    table_commands.versions,
    table_commands.changes,
    table_commands.export,
    table_commands.rollback,
    project_commands.compare,
    project_commands.settings,
    project_commands.models,
    project_commands.clean,
    project_commands.synth,
):
    cli.add_command(command)


def _spare_last_collections() -> None:
    """What ends with the interpreter need not be searched: 3 seconds where TensorFlow is loaded, 0.6 with Prefect."""
    if "prefect" in sys.modules and "_duckdb" not in sys.modules:  # DuckDB prints what is not collected
        gc.freeze()


def main() -> None:
    """Entry point."""
    atexit.register(_spare_last_collections)
    raise_on_signals()
    print_in_any_encoding()
    as_json = "--json" in sys.argv[1:]
    sys.exit(run_command(lambda: cli.main(standalone_mode=False), as_json=as_json))
