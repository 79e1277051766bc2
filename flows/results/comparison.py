"""The models of a batch side by side, as a table of the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

_NOTHING = "–"


def comparison_table(batch: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> Table:
    """Draw a batch's models and baselines.

    Args:
        batch: A summary as ``--json`` prints it.
        before: The summary of another batch; errors then show the change since.
    """
    started = f", {batch['started']:.16}" if "started" in batch else ""
    table = Table(title=f"Batch {batch['batch_id']}{started}", title_justify="left")
    table.add_column("model")
    for heading in ("test MSE", "RMSE", "MAE", "epochs", "train s", "predictions"):
        table.add_column(heading, justify="right")
    rows = batch.get("table", {}).get("rows", {})
    for name, model in batch["models"].items():
        was = (before or {}).get("models", {}).get(name, {})
        table.add_row(
            name + (" ★" if name == batch["champion"] else ""),
            *(_error(model.get(key), was.get(key)) for key in ("test_mse", "test_rmse", "test_mae")),
            str(model.get("epochs") or len(model.get("loss", ())) or _NOTHING),
            f"{model['train_seconds']:.2f}" if model.get("train_seconds") is not None else _NOTHING,
            f"{rows[name]:,}" if name in rows else _NOTHING,
        )
    for name, baseline in sorted(batch.get("baselines", {}).items()):
        was = (before or {}).get("baselines", {}).get(name, {})
        table.add_row(f"baseline {name}", _error(baseline["test_mse"], was.get("test_mse")), style="dim")
    refused = f"; not published: {batch['gate']}" if batch.get("gate") else ""
    table.caption = f"★ champion{_losers(batch)}{refused}"
    table.caption_justify = "left"
    return table


def _error(value: float | None, was: float | None) -> str:
    if value is None:
        return _NOTHING
    return f"{value:.4f}" if was is None else f"{value:.4f} ({value - was:+.4f})"


def _losers(batch: Mapping[str, Any]) -> str:
    """Models that a mere mean of user and item beats: the reader should be told."""
    bar = batch.get("baselines", {}).get("bias", {}).get("test_mse", float("inf"))
    losers = [name for name, model in batch["models"].items() if (model.get("test_mse") or 0) >= bar]
    return f"; no better than the bias baseline: {', '.join(losers)}" if losers else ""
