"""Every figure of a batch, drawn once for its page and for MLflow, and a model's artifacts as files."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from recobatch.escaping import spreadsheet_cell
from recobatch.report import charts
from recobatch.report.coverage_chart import draw_coverage
from recobatch.report.evaluation_summary import EvaluationSummary, ItemError
from recobatch.report.inputs import ModelResult, ReportInputs
from recobatch.report.list_chart import draw_lists
from recobatch.report.style import figure_settings, standalone, to_svg


def draw_figures(inputs: ReportInputs, summary: EvaluationSummary | None) -> dict[str, str]:
    """Draw the figures that show all models.

    Args:
        inputs: The results of the batch.
        summary: Of the models whose predictions are finite; None if there are none.

    Returns:
        File name without ending → ``<svg>`` element. Without a summary only ``loss_curves_of_all``, ``lists`` and
        ``coverage_by_decile``.
    """
    with figure_settings():
        figures = {"loss_curves_of_all": charts.draw_loss(inputs.ranked)}
        if inputs.lists:
            figures["lists"] = draw_lists(inputs.lists)
        if inputs.coverage is not None and inputs.coverage.is_drawn:
            figures["coverage_by_decile"] = draw_coverage(inputs.coverage)
        if summary:
            figures |= {
                "test_errors": charts.draw_test_errors(inputs.test_errors, inputs.champion),
                "calibration": charts.draw_calibration(summary.calibration),
                "predictions_and_ratings": charts.draw_distribution(summary.histogram),
                "error_by_activity": charts.draw_group_errors(
                    summary.by_activity, "Error by user activity", "ratings of the user in training"
                ),
                "error_by_popularity": charts.draw_group_errors(
                    summary.by_popularity, "Error by item popularity", "ratings of the item in training"
                ),
            }
        return {name: to_svg(figure) for name, figure in figures.items()}


def draw_item_map(model: ModelResult, inputs: ReportInputs) -> str:
    """The map of the items by the factors of one model, an ``<svg>`` element."""
    with figure_settings():
        return to_svg(charts.draw_item_map(model, inputs.ratings_of_item, inputs.item_titles))


def save_artifacts(
    model: ModelResult, figures: Mapping[str, str], items: Sequence[ItemError], folder: Path
) -> list[Path]:
    """Write the files that MLflow keeps with the run of one model.

    Args:
        model: Its loss curves are drawn as ``loss_curves.png`` and ``.svg``.
        figures: File name without ending → ``<svg>`` element.
        items: Its items by ascending error, for ``best_and_worst_items.csv``; empty if they are unknown.
        folder: Where the files are written; made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with figure_settings():
        loss, png = charts.draw_loss([model]), io.BytesIO()
        loss.savefig(png, format="png", dpi=240, facecolor="#ffffff", metadata={"Software": None})
        figures = {"loss_curves": to_svg(loss), **figures}
    files = {f"{name}.svg": standalone(svg).encode() for name, svg in figures.items()}
    files["loss_curves.png"] = png.getvalue()
    if items:
        files["best_and_worst_items.csv"] = _items_csv(items).encode()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def _items_csv(items: Sequence[ItemError]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["group", "item", "test ratings", "mean rating", "mean prediction", "rmse"])
    for group, listed in (("best", items[:10]), ("worst", items[10:][-10:][::-1])):
        for item in listed:
            values = (f"{value:.3f}" for value in (item.rating, item.prediction, item.rmse))
            writer.writerow([group, spreadsheet_cell(item.title), item.n_rows, *values])
    return file.getvalue()
