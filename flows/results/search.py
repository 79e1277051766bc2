"""What a search prints at its end: the best trials, what mattered, and how to use the result."""

from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

_SHOWN = 5


def print_search(summary: Mapping[str, Any], out: TextIO) -> None:
    """Print a table for each model that was tuned.

    Args:
        summary: What the flow returned.
        out: Where to.
    """
    console = Console(file=out, soft_wrap=True, width=None if out.isatty() else 140)
    for name, found in summary["models"].items():
        console.print(_table(name, found))
        for line in _remarks(found):
            console.print(line, highlight=False, markup=False)
    for line in _closing(summary):
        console.print(line, highlight=False, markup=False)


def _table(name: str, found: Mapping[str, Any]) -> Table:
    table = Table(title=f"{name}: study {found['study']}", title_justify="left")
    table.add_column("trial")
    table.add_column("validation MSE", justify="right")
    table.add_column("best epoch", justify="right")
    keys = list(found["best_trials"][0]["values"]) if found["best_trials"] else []
    for key in keys:
        table.add_column(key.partition(".")[2], justify="right")
    for trial in [*found["best_trials"][:_SHOWN], found["baseline"]]:
        error = "failed" if trial["validation_mse"] is None else f"{trial['validation_mse']:.4f}"
        number = "in force" if trial["number"] < 0 else str(trial["number"])
        values = [_shown(trial["values"].get(key)) for key in keys]
        table.add_row(number, error, str(trial["best_epoch"] or "–"), *values)
    return table


def _remarks(found: Mapping[str, Any]) -> list[str]:
    counts = ", ".join(f"{count} {state}" for state, count in found["trials"].items())
    lines = [f"{counts} trials of this study; {found['seconds']:.1f} s in this run."]
    if found["importance"]:
        shares = ", ".join(f"{key} {share:.0%}" for key, share in found["importance"].items())
        lines.append(f"The error depends on {shares} (importance.svg).")
    if not found["settings"]:
        return [*lines, "No trial is better than the settings in force; nothing to change."]
    return [*lines, f"Settings: {found['toml']}"]


def _closing(summary: Mapping[str, Any]) -> list[str]:
    """What to do with the settings of all models."""
    if not summary["settings"]:
        return []
    of_all = [f"Settings of all models, for one batch: {summary['toml']}"] if len(summary["models"]) > 1 else []
    if summary["applied"] is not None:
        return [*of_all, f"Written into {summary['applied']}."]
    return [*of_all, "recobatch tune … --apply, with the same options, writes them into recobatch.toml."]


def _shown(value: object) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
