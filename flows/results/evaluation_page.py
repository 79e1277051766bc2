"""The result of an evaluation as the texts and numbers of its page."""

from collections.abc import Mapping
from typing import Any

from flows.results.evaluation import EvaluationResult, paired_lines, shown_metrics, spread_text, title_of
from recobatch.evaluation.folds import as_day
from recobatch.report.evaluation_page import EvaluationReport, FoldChart, Values

_METHODS = {
    "windows": "Each model was trained on all ratings before a window of time and measured on the window.",
    "repeats": "Each model was trained on random parts of every user's ratings and measured on the rest of them.",
    "folds": "Each model was trained on all folds of the ratings but one, in turn, and measured on that one.",
}


def evaluation_report(result: EvaluationResult) -> EvaluationReport:
    """What the page of an evaluation shows."""
    metrics = shown_metrics(result)
    counts = {name: f"{result.data[name]:,}" for name in ("ratings", "users", "items", "quarantined")}
    charts = [
        FoldChart(title_of(metric), _by_fold(result.models, metric), _by_fold(result.baselines, metric))
        for metric in metrics
        if metric != "train_seconds"
    ]
    return EvaluationReport(
        result.evaluation_id, _title(result), {"ratings from": str(result.data["source"]), **counts},
        [title_of(metric) for metric in metrics], _rows(result.models, metrics), _rows(result.baselines, metrics),
        paired_lines(result), [_fold(fold) for fold in result.folds], charts, _METHODS[result.method],
    )  # fmt: skip


def _title(result: EvaluationResult) -> str:
    models, baselines = ({
        name: figures["test_mse"]["mean"] for name, figures in each.items()
        if figures.get("test_mse", {}).get("mean") is not None
    } for each in (result.models, result.baselines))  # fmt: skip
    if not models:
        return "No model made predictions that are all numbers"
    best, over = min(models, key=models.__getitem__), f"over {len(result.folds)} {result.method}"
    bar = min(baselines, key=baselines.__getitem__, default=best)
    if baselines and baselines[bar] <= models[best]:
        return f"No model is better than the baseline {bar} {over}"
    return f"{best} has the lowest test error {over}"


def _rows(models: Mapping[str, Mapping[str, Any]], metrics: list[str]) -> dict[str, list[str]]:
    return {name: [spread_text(figures.get(metric)) for metric in metrics] for name, figures in models.items()}


def _by_fold(models: Mapping[str, Mapping[str, Any]], metric: str) -> Values:
    return {name: figures[metric]["folds"] for name, figures in models.items() if metric in figures}


def _fold(fold: Mapping[str, Any]) -> list[str]:
    time = "" if fold["since"] is None else f"{as_day(fold['since'])} to {as_day(fold['until'])}"
    return [str(fold["name"]), *(f"{fold[size]:,}" for size in ("train", "test", "cold")), time]
