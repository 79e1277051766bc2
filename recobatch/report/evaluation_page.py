"""The page of an evaluation over several folds, one self-contained HTML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recobatch.report import style
from recobatch.report.fold_chart import draw_folds
from recobatch.report.template import load_template
from recobatch.storage.durable import write_file

Values = Mapping[str, Sequence[float | None]]
"""Name of a model or baseline → figure by fold."""


@dataclass(frozen=True)
class FoldChart:
    """One picture."""

    title: str
    models: Values
    baselines: Values


@dataclass(frozen=True)
class EvaluationReport:
    """What the page shows, as texts and numbers."""

    evaluation_id: str
    title: str
    facts: Mapping[str, str]
    """Of the ratings."""
    headings: Sequence[str]
    """Of the columns after the name."""
    rows: Mapping[str, Sequence[str]]
    """Name of a model → cells."""
    baseline_rows: Mapping[str, Sequence[str]]
    tests: Sequence[str]
    """Paired tests, one line each."""
    folds: Sequence[Sequence[str]]
    """Name, training ratings, test ratings, cold test ratings, time."""
    charts: Sequence[FoldChart]
    method: str
    """How the ratings are divided, one sentence."""


def write_evaluation_page(report: EvaluationReport, page: Path) -> None:
    """Write the page; its folder is made if missing.

    Raises:
        OSError: If the file cannot be written; no half of it is left then.
    """
    with style.figure_settings():
        figures = {
            chart.title: style.inline(
                style.to_svg(draw_folds(chart.title, chart.models, chart.baselines)), f"chart{number}"
            )
            for number, chart in enumerate(report.charts)
        }  # fmt: skip
    text = load_template("evaluation.html.j2").render(report=report, figures=figures, style=style)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_file(page, text.encode())
