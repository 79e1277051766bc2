"""The result of ``recobatch evaluate``: what ``--json`` prints, and the tables of the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Self

from rich.console import Console
from rich.table import Table

_NOTHING = "–"
_SHOWN = ("test_mse", "warm_mse", "cold_mse", "ndcg_at_", "recall_at_", "coverage_90", "train_seconds")
"""Metrics of the table, or how their names begin."""
_TITLES = {
    "test_mse": "test MSE", "warm_mse": "warm MSE", "cold_mse": "cold MSE",
    "coverage_90": "in 90 %", "train_seconds": "train s",
}  # fmt: skip
_CLEAR = 0.05
"""Largest p-value of a difference that is marked."""


@dataclass(frozen=True)
class EvaluationResult:
    """Figures over several folds."""

    evaluation_id: str
    method: str
    """``windows``, ``repeats`` or ``folds``."""
    data: Mapping[str, Any]
    """``source``, ``ratings``, ``users``, ``items``, ``quarantined``."""
    folds: Sequence[Mapping[str, Any]]
    """``name``, ``train``, ``test``, ``cold``, and of a window ``since`` and ``until``."""
    models: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """Model → metric → ``mean``, ``sd`` and ``folds``."""
    baselines: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """Likewise."""
    paired: Sequence[Mapping[str, Any]]
    """``metric``, ``first``, ``second``, ``difference`` and ``p_value`` of every two models."""
    runs: Mapping[str, str | None]
    """Model → page of its run in MLflow."""
    page: str | None
    """The page with pictures."""
    reused: Sequence[str]
    """Stages that an earlier run had finished."""
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_dict``."""
        return cls(**values)


def print_evaluation(result: EvaluationResult, out: IO[str]) -> None:
    """Print means and spreads by model, then the paired tests."""
    console = Console(file=out, soft_wrap=True, width=None if out.isatty() else 160)
    console.print(figures_table(result))
    for line in (*paired_lines(result), *_closing_lines(result)):
        console.print(line, highlight=False, markup=False)


def figures_table(result: EvaluationResult) -> Table:
    """Mean ± standard deviation of the shown metrics, a row for each model and baseline."""
    everything = {**result.models, **{f"baseline {name}": figures for name, figures in result.baselines.items()}}
    metrics = shown_metrics(result)
    table = Table(title=f"{len(result.folds)} {result.method}: mean ± standard deviation", title_justify="left")
    table.add_column("model", no_wrap=True)
    for metric in metrics:
        table.add_column(title_of(metric), justify="right", no_wrap=True)
    for name, figures in everything.items():
        style = None if name in result.models else "dim"
        table.add_row(name, *(spread_text(figures.get(metric)) for metric in metrics), style=style)
    rows = [f"{fold['test']:,}" for fold in result.folds]
    cold = sum(fold["cold"] for fold in result.folds) / max(1, sum(fold["test"] for fold in result.folds))
    table.caption = f"test ratings: {', '.join(rows)}; {cold:.1%} of them of users or items without training ratings"
    table.caption_justify = "left"
    return table


def shown_metrics(result: EvaluationResult) -> list[str]:
    """Metrics of the table that any model has, in its order."""
    found = (item for figures in result.models.values() for item in figures.items())
    known = dict.fromkeys(metric for metric, figure in found if figure["mean"] is not None)
    if "cold_mse" not in known:
        known.pop("warm_mse", None)  # the same as test_mse
    chosen = [
        next((m for m in known if m == name or (name[-1] == "_" and m.startswith(name))), None) for name in _SHOWN
    ]
    return [metric for metric in chosen if metric is not None]


def title_of(metric: str) -> str:
    """Heading of a metric."""
    return _TITLES.get(metric, metric.replace("_at_", "@").replace("ndcg", "NDCG"))


def spread_text(figure: Mapping[str, Any] | None) -> str:
    """``0.9012 ± 0.0034``; a dash where there is none."""
    if figure is None or figure["mean"] is None:
        return _NOTHING
    digits = 4 if abs(figure["mean"]) < 10 else 1
    spread = "" if figure["sd"] is None else f" ± {figure['sd']:.{digits}f}"
    return f"{figure['mean']:.{digits}f}{spread}"


def paired_lines(result: EvaluationResult) -> list[str]:
    """One line for each paired test."""
    lines = []
    for test in result.paired:
        p_value = test["p_value"]
        sure = "too few folds for a test" if p_value is None else f"p = {p_value:.3g}"
        verdict = "" if p_value is None or p_value > _CLEAR else ", clear"
        pair = f"{test['first']} - {test['second']} = {test['difference']:+.4f}"
        lines.append(f"{title_of(test['metric'])}: {pair} ({sure}{verdict})")
    return lines


def _closing_lines(result: EvaluationResult) -> list[str]:
    reused = [f"Made by an earlier run: {', '.join(result.reused)}."] if result.reused else []
    page = [f"Page: {result.page}"] if result.page else []
    return [f"{result.seconds:.1f} s; nothing was registered or published.", *reused, *page]
