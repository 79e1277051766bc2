"""The few lines a batch ends with: both models compared, where the table is, how to look at it."""

from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console

from flows.results.comparison import comparison_table
from recobatch.table.queries import duckdb_command, pandas_query, top_command


def print_closing(summary: Mapping[str, Any], out: TextIO) -> None:
    """Print the comparison, the path and queries for DuckDB, pandas and the terminal."""
    console = Console(file=out, soft_wrap=True, width=None if out.isatty() else 120)
    if summary.get("unchanged"):
        console.print(_unchanged(summary), highlight=False, markup=False)
    if any("test_mae" in model for model in summary["models"].values()):
        console.print(comparison_table(summary))
    if "news" in summary.get("data", {}):
        console.print(_news(summary["data"]["news"]), highlight=False, markup=False)
    console.print(_timings(summary["timings"], summary["seconds"]), highlight=False)
    if reused := summary.get("reused"):
        console.print(f"Made by an earlier run: {', '.join(reused)}.", highlight=False, markup=False)
    if "table" in summary:
        console.print(_queries(summary["table"], summary["data"]["first_user"]), highlight=False, markup=False)


def _unchanged(summary: Mapping[str, Any]) -> str:
    if back := summary.get("rolled_back"):
        return f"Nothing published: this was version {back}, which was rolled back (--force publishes it again)."
    return "Nothing new since the published batch; the table stands (--force publishes again)."


def _news(news: Mapping[str, Any] | None) -> str:
    if news is None:
        return "No ratings were read: what is new since the champion was trained is not known."
    return f"{news['told']}."


def _timings(timings: Mapping[str, float], seconds: float) -> str:
    stages = ", ".join(f"{stage} {spent:.2f}" for stage, spent in timings.items() if spent >= 0.005)
    return f"{seconds:.1f} s: {stages}"


def _queries(table: Mapping[str, Any], user: int | str) -> str:
    champion = table["champion_path"]
    return (
        f"Table: {table['path']}, version {table['version']}\n"
        f"  {duckdb_command(champion, user)}\n"
        f"  {pandas_query(champion, user)}\n"
        f"  {top_command(user, table['path'])}"
    )
