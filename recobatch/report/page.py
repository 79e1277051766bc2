"""The report of a batch as one self-contained HTML page, and the figures that it shares with MLflow."""

from collections.abc import Mapping
from pathlib import Path

from recobatch.errors import BadInput
from recobatch.report import coverage, findings, lists, style
from recobatch.report.evaluation_summary import EvaluationSummary
from recobatch.report.figures import draw_figures, draw_item_map, save_artifacts
from recobatch.report.inputs import ReportInputs, baseline_name
from recobatch.report.template import load_template
from recobatch.storage.durable import write_file
from recobatch.table import queries


def write_report(inputs: ReportInputs, page: Path, artifacts: Path) -> dict[str, list[Path]]:
    """Write the page of a batch and the artifacts of its models.

    Args:
        inputs: The results of the batch.
        page: The file, ``.html``; its folder is made if missing.
        artifacts: Folder for one folder of artifacts per model.

    Returns:
        Model → its artifacts: the loss curves, and where its predictions are finite the other figures and
        ``best_and_worst_items.csv``. The file names are the same for every model.

    Raises:
        OSError: If a file cannot be written; no half of the page is left then.
        BadInput: If the champion is none of the models, or there are no test rows.
    """
    _check(inputs)
    summary = EvaluationSummary.of(inputs)
    figures = draw_figures(inputs, summary)
    maps = {model.name: draw_item_map(model, inputs) for model in inputs.models if model.is_finite}
    page.parent.mkdir(parents=True, exist_ok=True)
    write_file(page, _render(inputs, summary, figures | {"item_map": maps.get(inputs.champion, "")}).encode())
    loss = {"loss_curves_of_all": figures["loss_curves_of_all"]}
    return {
        model.name: save_artifacts(
            model, {**figures, "item_map": maps[model.name]} if model.is_finite else loss,
            summary.items[model.name] if summary and model.is_finite else (), artifacts / model.name,
        )
        for model in inputs.models
    }  # fmt: skip


def _render(inputs: ReportInputs, summary: EvaluationSummary | None, figures: Mapping[str, str]) -> str:
    return load_template("report.html.j2").render(
        inputs=inputs, ingest=inputs.ingest, split=inputs.split, table=inputs.table, champion=inputs.champion_result,
        summary=summary,
        figures={name: style.inline(svg, name) for name, svg in figures.items()},
        findings=findings, coverage=coverage, lists=lists, queries=queries, style=style, baseline_name=baseline_name,
    )  # fmt: skip


def _check(inputs: ReportInputs) -> None:
    names = [model.name for model in inputs.models]
    if inputs.champion not in names:
        raise BadInput(
            f"report: found the champion {inputs.champion!r}, expected one of the batch's models ({', '.join(names)}); "
            f"pass the name of a model that was trained"
        )
    if not len(inputs.split.test.rating):
        raise BadInput("report: found no test rows, expected at least one; use a larger test part")
