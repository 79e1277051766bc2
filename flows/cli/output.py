"""What commands print on stdout."""

import io
import json
import sys
from typing import Any

import click

from recobatch.escaping import printable


def echo(text: str, *, err: bool = False) -> None:
    """A line for people, on stdout or stderr; ids, titles and file names in it do not act on the terminal."""
    click.echo(printable(text), err=err)


def echo_json(value: dict[str, Any]) -> None:
    """The one JSON line of ``--json``."""
    click.echo(json.dumps(value, default=str))


def print_in_any_encoding() -> None:
    """Print a question mark for what stdout and stderr cannot encode: a run has published before it prints."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
