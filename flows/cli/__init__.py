"""The command line: arguments → settings → flow."""

from flows.cli.commands import main

__all__ = ["main"]
