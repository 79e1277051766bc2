"""Pictures as files, as a run's artifacts."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from recobatch.report import charts
from recobatch.report.evaluation_summary import EvaluationSummary
from recobatch.report.grouping import ItemError, item_errors
from recobatch.report.inputs import ModelResult, TestRows
from recobatch.report.style import ALONE, save_png, save_svg


def save_loss_curves(
    histories: Mapping[str, tuple[Sequence[float], Sequence[float]]], folder: Path, name: str = "loss_curves"
) -> list[Path]:
    """Draw loss and val_loss of one model or of several on one chart.

    Args:
        histories: Model name to its losses per epoch, training then held-out (possibly empty).
        folder: Where ``<name>.png`` and ``<name>.svg`` are written; made if missing.
        name: File name without its ending.

    Returns:
        The two files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figure = charts.draw_loss(histories, ALONE)
    return [save_png(figure, folder / f"{name}.png"), save_svg(figure, folder / f"{name}.svg")]


def save_model_pictures(model: ModelResult, test: TestRows, item_titles: Sequence[str], folder: Path) -> list[Path]:
    """Draw all that is to be seen of one model.

    Args:
        model: The model.
        test: The rows it is evaluated on.
        item_titles: One per item index.
        folder: Where the files are written; made if missing. The names are the same for every model.

    Returns:
        ``loss_curves.png`` and ``.svg``, one ``.svg`` for each of ``calibration``, ``error_by_activity``,
        ``error_by_popularity``, ``predictions_and_ratings`` and ``item_map``, and ``best_and_worst_items.csv``.
        Only the loss curves if not all predictions are numbers.
    """
    written = save_loss_curves({model.name: (model.loss, model.val_loss)}, folder)
    if not np.isfinite(model.test_prediction).all():
        return written
    summary = EvaluationSummary.of([model], test)
    figures = {
        "calibration": charts.draw_calibration(summary.calibration, ALONE),
        "error_by_activity": charts.draw_error_by_activity(summary.by_activity, ALONE),
        "error_by_popularity": charts.draw_error_by_popularity(summary.by_popularity, ALONE),
        "predictions_and_ratings": charts.draw_distribution(summary.histogram, ALONE),
        "item_map": charts.draw_item_map(model, test, item_titles, ALONE),
    }
    written += [save_svg(figure, folder / f"{name}.svg") for name, figure in figures.items()]
    items = item_errors(test.item_index, test.rating, model.test_prediction, item_titles)
    return [*written, _save_items(items, folder / "best_and_worst_items.csv")]


def _save_items(items: Sequence[ItemError], path: Path) -> Path:
    best, worst = items[:10], items[10:][-10:][::-1]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["group", "item", "test ratings", "mean rating", "mean prediction", "rmse"])
        for group, listed in (("best", best), ("worst", worst)):
            for item in listed:
                figures = (f"{value:.3f}" for value in (item.rating, item.prediction, item.rmse))
                writer.writerow([group, item.title, item.n_rows, *figures])
    return path
