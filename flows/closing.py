"""The few lines a batch ends with: both models compared, where the table is, how to look at it."""

from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table


def print_closing(summary: Mapping[str, Any], out: TextIO) -> None:
    """Print the comparison, the path and a query for DuckDB and for pandas."""
    console = Console(file=out, soft_wrap=True, width=None if out.isatty() else 120)
    if summary.get("unchanged"):
        console.print("Nothing new since the published batch; the table stands (--force publishes again).")
    if any("test_mse" in model for model in summary["models"].values()):
        console.print(_comparison(summary))
    if news := summary.get("data", {}).get("news"):
        console.print(f"{news['told'][0].upper()}{news['told'][1:]}.", highlight=False, markup=False)
    console.print(_timings(summary["timings"], summary["seconds"]), highlight=False)
    if "table" in summary:
        console.print(_queries(summary["table"]), highlight=False, markup=False)


def _comparison(summary: Mapping[str, Any]) -> Table:
    table = Table(title=f"Batch {summary['batch_id']}", title_justify="left")
    table.add_column("model")
    for heading in ("test MSE", "RMSE", "MAE", "epochs", "train s", "predictions"):
        table.add_column(heading, justify="right")
    rows = summary.get("table", {}).get("rows", {})
    for name, model in summary["models"].items():
        crown = " ★" if name == summary["champion"] else ""
        table.add_row(
            name + crown, f"{model['test_mse']:.4f}", f"{model['test_rmse']:.4f}", f"{model['test_mae']:.4f}",
            str(len(model["loss"])), f"{model['train_seconds']:.2f}", f"{rows[name]:,}" if name in rows else "–",
        )  # fmt: skip
    for name, baseline in summary.get("baselines", {}).items():
        table.add_row(f"baseline {name}", f"{baseline['test_mse']:.4f}", style="dim")
    losers = _losers(summary)
    table.caption = f"★ champion{losers}"
    table.caption_justify = "left"
    return table


def _losers(summary: Mapping[str, Any]) -> str:
    """Models that a mere mean of user and item beats: the reader should be told."""
    bar = summary.get("baselines", {}).get("bias", {}).get("test_mse", float("inf"))
    losers = [name for name, model in summary["models"].items() if model["test_mse"] >= bar]
    return f"; no better than the bias baseline: {', '.join(losers)}" if losers else ""


def _timings(timings: Mapping[str, float], seconds: float) -> str:
    stages = ", ".join(f"{stage} {spent:.2f}" for stage, spent in timings.items() if spent >= 0.005)
    return f"{seconds:.1f} s: {stages}"


def _queries(table: Mapping[str, Any]) -> str:
    champion = f"{table['path']}/current/champion"
    return (
        f"Table: {table['path']}/current, version {table['version']}\n"
        f"  duckdb -c \"FROM '{champion}/*.parquet' WHERE user_id = 1 ORDER BY prediction DESC LIMIT 10\"\n"
        f'  pd.read_parquet("{champion}")'
    )
