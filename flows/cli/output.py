"""What commands print on stdout."""

import json
from typing import Any

import click

from recobatch.escaping import printable


def echo(text: str, *, err: bool = False) -> None:
    """A line for people, on stdout or stderr; ids, titles and file names in it do not act on the terminal."""
    click.echo(printable(text), err=err)


def echo_json(value: dict[str, Any]) -> None:
    """The one JSON line of ``--json``."""
    click.echo(json.dumps(value, default=str))
