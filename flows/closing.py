"""The few lines a batch ends with: both models compared, where the table is, how to look at it."""

from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console

from flows.compare import comparison_table


def print_closing(summary: Mapping[str, Any], out: TextIO) -> None:
    """Print the comparison, the path and a query for DuckDB and for pandas."""
    console = Console(file=out, soft_wrap=True, width=None if out.isatty() else 120)
    if summary.get("unchanged"):
        console.print("Nothing new since the published batch; the table stands (--force publishes again).")
    if any("test_mae" in model for model in summary["models"].values()):
        console.print(comparison_table(summary))
    if "news" in summary.get("data", {}):
        console.print(_news(summary["data"]["news"]), highlight=False, markup=False)
    console.print(_timings(summary["timings"], summary["seconds"]), highlight=False)
    if reused := summary.get("reused"):
        console.print(f"Made by an earlier run: {', '.join(reused)}.", highlight=False, markup=False)
    if "table" in summary:
        console.print(_queries(summary["table"]), highlight=False, markup=False)


def _news(news: Mapping[str, Any] | None) -> str:
    if news is None:
        return "No ratings were read: what is new since the champion was trained is not known."
    return f"{news['told']}."


def _timings(timings: Mapping[str, float], seconds: float) -> str:
    stages = ", ".join(f"{stage} {spent:.2f}" for stage, spent in timings.items() if spent >= 0.005)
    return f"{seconds:.1f} s: {stages}"


def _queries(table: Mapping[str, Any]) -> str:
    champion = table["champion_path"]
    return (
        f"Table: {table['path']}, version {table['version']}\n"
        f"  duckdb -c \"FROM '{champion}/*.parquet' WHERE user_id = 1 ORDER BY prediction DESC LIMIT 10\"\n"
        f'  pd.read_parquet("{champion}")'
    )
