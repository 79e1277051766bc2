"""What a batch prints at its end: both models compared, where the table is, and queries of it."""

from collections.abc import Mapping
from shutil import which
from typing import TextIO

from rich.console import Console

from flows.results.choice import choice_remarks
from flows.results.comparison import Comparison, comparison_table
from flows.results.rankings import remarks
from flows.results.summary import BatchSummary, TableSummary
from flows.results.uncertainty import uncertainty_remarks
from recobatch.escaping import printable
from recobatch.table.queries import duckdb_command, pandas_query, top_command


def print_closing(summary: BatchSummary, out: TextIO) -> None:
    """Print the comparison, the path and queries for pandas, the terminal, and DuckDB where it is installed."""
    console = Console(file=out, soft_wrap=True, width=None if out.isatty() else 140)
    if summary.unchanged:
        console.print(_unchanged(summary), highlight=False, markup=False)
    if any(model.test_mae is not None for model in summary.models.values()):
        console.print(comparison_table(Comparison.of(summary)))
    for remark in (*choice_remarks(summary), *uncertainty_remarks(summary), *remarks(summary)):
        console.print(printable(remark), highlight=False, markup=False)
    if summary.data.scored_only:
        console.print(printable(_news(summary)), highlight=False, markup=False)
    console.print(_timings(summary.timings, summary.seconds), highlight=False)
    if summary.reused:
        console.print(f"Made by an earlier run: {', '.join(summary.reused)}.", highlight=False, markup=False)
    if summary.table is not None:
        console.print(printable(_table(summary.table, summary.data.first_user)), highlight=False, markup=False)


def _unchanged(summary: BatchSummary) -> str:
    if summary.rolled_back:
        version = summary.rolled_back
        return f"Nothing published: this was version {version}, which was rolled back (--force publishes it again)."
    return "Nothing new since the published batch; nothing was published (--force publishes again)."


def _news(summary: BatchSummary) -> str:
    if summary.data.news is None:
        return "No ratings were read: what is new since the champion was trained is not known."
    return f"{summary.data.news['told']}."


def _timings(timings: Mapping[str, float], seconds: float) -> str:
    """Stage by stage; what none of them covers has a name too, unless stages ran beside each other."""
    timings = {**timings, "others": seconds - sum(timings.values())}
    stages = ", ".join(f"{stage} {spent:.2f}" for stage, spent in timings.items() if spent >= 0.005)
    return f"{seconds:.1f} s: {stages}"


def _table(table: TableSummary, user: int | str | None) -> str:
    place = f"Table: {table.path}, version {table.version}"
    if user is None:
        return place
    queries = (
        *([duckdb_command(table.champion_path, user)] if which("duckdb") else []),
        pandas_query(table.champion_path, user),
        top_command(user, table.path),
    )
    return "\n  ".join((place, *queries))
