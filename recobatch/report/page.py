"""One self-contained page a batch: opens offline, light or dark, on a desk or a telephone."""

from dataclasses import replace
from html import escape
from pathlib import Path

from recobatch.errors import BadInput
from recobatch.report import sections, words
from recobatch.report.evaluation_summary import EvaluationSummary
from recobatch.report.inputs import ReportInputs
from recobatch.report.style import DARK, FONT, css_variables
from recobatch.storage.durable import write_file


def write_report(inputs: ReportInputs, out: Path) -> Path:
    """Write the page of a batch.

    Args:
        inputs: What it shows.
        out: The file, ``.html``; its folder is made if missing.

    Returns:
        ``out``.

    Raises:
        OSError: If it cannot be written; no half of it is left then.
        BadInput: If the champion is none of the models, or there are no test rows.
    """
    _check(inputs)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_file(out, render(inputs).encode())
    return out


def render(inputs: ReportInputs) -> str:
    """The page as text: HTML, styles and pictures in one, no request to anywhere."""
    parts = _sections(inputs)
    css = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>Batch {escape(inputs.batch_id)} · recobatch</title>",
            f"<style>:root {{ {css_variables()} --code: #f3f5f7; --font: {FONT}; }}",
            f"@media (prefers-color-scheme: dark) {{ :root {{ {css_variables(DARK)} --code: #20252b; }} }}",
            f"{css}</style></head>",
            "<body><main>",
            *parts,
            "</main></body></html>",
            "",
        ]
    )


def _sections(inputs: ReportInputs) -> list[str]:
    """All sections; without a sound champion only what can be text about a failure."""
    if not words.is_sound(words.champion_of(inputs)):
        text = (sections.opening, sections.data, sections.published, sections.repetition)
        return [section(inputs) for section in text]
    sound = replace(inputs, models=[model for model in inputs.models if words.is_sound(model)])
    summary = EvaluationSummary.of(words.ranked(sound), inputs.test)
    return [
        sections.opening(inputs), sections.comparison(sound), sections.learning(sound), sections.trust(sound, summary),
        sections.mistakes(sound, summary), sections.data(inputs), sections.published(inputs),
        sections.repetition(inputs),
    ]  # fmt: skip


def _check(inputs: ReportInputs) -> None:
    names = [model.name for model in inputs.models]
    if inputs.champion not in names:
        raise BadInput(
            f"report: found the champion {inputs.champion!r}, expected one of the batch's models ({', '.join(names)}); "
            f"pass the name of a model that was trained"
        )
    if not len(inputs.test.rating):
        raise BadInput("report: found no test rows, expected at least one; use a larger test part")
