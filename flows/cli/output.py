"""What commands print on stdout."""

import json
from typing import Any

import click


def echo_json(value: dict[str, Any]) -> None:
    """The one JSON line of ``--json``."""
    click.echo(json.dumps(value, default=str))
