"""The models and baselines of a batch side by side: rows for every view, and the table of the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rich.table import Table

from flows.results.rankings import headline, list_length

if TYPE_CHECKING:
    from flows.results.summary import BatchSummary

_NOTHING = "–"


@dataclass(frozen=True)
class ComparisonRow:
    """One model or baseline."""

    name: str
    is_champion: bool = False
    is_baseline: bool = False
    test_mse: float | None = None
    test_rmse: float | None = None
    test_mae: float | None = None
    ndcg: float | None = None
    """Of its lists."""
    recall: float | None = None
    """Likewise."""
    coverage: float | None = None
    """Share of the test ratings within their 90 % intervals."""
    width: float | None = None
    """Mean width of these intervals, in rating units."""
    epochs: int | None = None
    train_seconds: float | None = None
    predictions: int | None = None
    """Published; None where the model was not published."""
    url: str | None = None
    """Page of its run."""

    @classmethod
    def of_baseline(cls, name: str, mse: float | None, rankings: Mapping[str, Any] | None) -> Self:
        rmse = None if mse is None else math.sqrt(mse)
        return cls(name, False, True, mse, rmse, None, *headline(rankings))


@dataclass(frozen=True)
class Comparison:
    """A batch's models, then its baselines by name."""

    batch_id: str
    rows: tuple[ComparisonRow, ...]
    started: str = ""
    """UTC; empty where it is not known."""
    list_length: int | None = None
    """Of the lists that were measured; None where it is not known."""
    refused: str = ""
    """Why the batch was not published, where a gate refused it."""

    @classmethod
    def of(cls, summary: BatchSummary) -> Self:
        """The rows of a summary."""
        published = summary.table.rows if summary.table else {}
        length = list_length(model.rankings for model in summary.models.values())
        models = (
            ComparisonRow(
                name, name == summary.champion, False, model.test_mse, model.test_rmse, model.test_mae,
                *headline(model.rankings), model.coverage_90, model.interval_width,
                None if model.loss is None else len(model.loss), model.train_seconds,
                published.get(name), model.mlflow_url,
            )
            for name, model in summary.models.items()
        )  # fmt: skip
        baselines = (
            ComparisonRow.of_baseline(name, one.test_mse, one.rankings)
            for name, one in sorted(summary.baselines.items())
        )
        return cls(summary.batch_id, (*models, *baselines), list_length=length)

    @classmethod
    def of_tracked(cls, batch: Mapping[str, Any]) -> Self:
        """The rows of a batch as ``recobatch compare --json`` prints it."""
        published = batch.get("table", {}).get("rows", {})
        models = (
            ComparisonRow(
                name, name == batch["champion"], False, model["test_mse"], model["test_rmse"], model["test_mae"],
                *headline(model.get("rankings")), model.get("coverage_90"), model.get("interval_width"),
                model["epochs"], model["train_seconds"], published.get(name),
                model["mlflow_url"],
            )
            for name, model in batch["models"].items()
        )  # fmt: skip
        baselines = (
            ComparisonRow.of_baseline(name, one.get("test_mse"), one.get("rankings"))
            for name, one in sorted(batch["baselines"].items())
        )
        length = list_length(model.get("rankings") for model in batch["models"].values())
        return cls(batch["batch_id"], (*models, *baselines), batch["started"], length, batch["gate"] or "")

    @property
    def list_headings(self) -> tuple[str, str]:
        """Of the columns ``ndcg`` and ``recall``."""
        length = f"@{self.list_length}" if self.list_length else ""
        return f"NDCG{length}", f"recall{length}"

    @property
    def no_better_than_means(self) -> list[str]:
        """Models that the means of user and item beat."""
        bar = next((row.test_mse for row in self.rows if row.is_baseline and row.name == "bias"), None)
        models = [row for row in self.rows if not row.is_baseline]
        return [row.name for row in models if bar is not None and row.test_mse is not None and row.test_mse >= bar]


def comparison_table(batch: Comparison, before: Comparison | None = None) -> Table:
    """Draw a batch's models and baselines for the terminal.

    Args:
        batch: The batch.
        before: Another batch; errors then show the change since.
    """
    started = f", {batch.started:.16}" if batch.started else ""
    table = Table(title=f"Batch {batch.batch_id}{started}", title_justify="left")
    table.add_column("model")
    for heading in (
        "test MSE",
        "RMSE",
        "MAE",
        *batch.list_headings,
        "in 90 %",
        "width",
        "epochs",
        "train s",
        "predictions",
    ):
        table.add_column(heading, justify="right")
    earlier = {(row.name, row.is_baseline): row for row in (before.rows if before else ())}
    for row in batch.rows:
        old = earlier.get((row.name, row.is_baseline), ComparisonRow(row.name))
        name = f"baseline {row.name}" if row.is_baseline else row.name + (" ★" if row.is_champion else "")
        errors = (
            (row.test_mse, old.test_mse),
            (row.test_rmse, old.test_rmse),
            (row.test_mae, old.test_mae),
        )
        table.add_row(
            name, *(_error(*pair) for pair in (*errors, (row.ndcg, old.ndcg), (row.recall, old.recall))),
            _share(row.coverage, old.coverage), _error(row.width, old.width, 2),
            shown(row.epochs), shown(row.train_seconds, ".2f"),
            shown(row.predictions), style="dim" if row.is_baseline else None,
        )  # fmt: skip
    losers = batch.no_better_than_means
    table.caption = "★ champion" + (f"; no better than the bias baseline: {', '.join(losers)}" if losers else "")
    table.caption += f"; not published: {batch.refused}" if batch.refused else ""
    table.caption_justify = "left"
    return table


def shown(value: float | None, spec: str = ",") -> str:
    """A figure as text, a dash where there is none."""
    return _NOTHING if value is None else format(value, spec)


def _error(value: float | None, before: float | None, digits: int = 4) -> str:
    change = "" if value is None or before is None else f" ({value - before:+.{digits}f})"
    return shown(value, f".{digits}f") + change


def _share(value: float | None, before: float | None) -> str:
    change = "" if value is None or before is None else f" ({100 * (value - before):+.1f})"
    return shown(value, ".1%") + change
