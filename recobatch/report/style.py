"""How every picture looks: sizes, colours that all eyes tell apart, light and dark."""

import io
import re
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID, NEUTRAL, PAPER = "#1c2126", "#5b6571", "#e2e6ea", "#b3bcc5", "#fefefe"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Okabe and Ito's palette; told apart by lightness too, and lines differ in style besides."""

DARK = {
    INK: "#e8ebee", MUTED: "#a3adb8", GRID: "#343b43", NEUTRAL: "#66717d", PAPER: "#16191d",
    "#0072b2": "#56b4e9", "#d55e00": "#f0932b", "#009e73": "#2fc495", "#cc79a7": "#e0a3c6",
}  # fmt: skip
NAMES = {
    INK: "ink", MUTED: "muted", GRID: "grid", NEUTRAL: "neutral", PAPER: "paper",
    **{colour: f"series-{place}" for place, colour in enumerate(SERIES, 1)},
}  # fmt: skip
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

_RC = {"svg.fonttype": "none", "svg.hashsalt": "recobatch", "font.family": ["DejaVu Sans"], "path.simplify": True}
_rc_lock = threading.Lock()


@dataclass(frozen=True)
class Shape:
    """Size of a picture, and whether it has to explain itself."""

    width: float
    """Inches."""
    height: float
    """Inches."""
    is_titled: bool = False
    """Pictures that stand alone have a title; on the page the heading says it."""

    @property
    def is_narrow(self) -> bool:
        return self.width < 5


ALONE = Shape(6.4, 3.8, is_titled=True)
WIDE = Shape(6.4, 3.4)
NARROW = Shape(3.5, 3.3)

_LEGEND_LINE = 0.2
"""Inches."""


def new_axes(shape: Shape, title: str, *, legend_rows: int = 0, left: float = 0.62, right: float = 0.14) -> Axes:
    """An empty picture with quiet axes, apart from pyplot's global state.

    Margins are fixed, not fitted: fitting draws everything twice.

    Args:
        shape: Size of the picture.
        title: Shown if the picture stands alone.
        legend_rows: Lines to leave free above the axes.
        left: Inches to leave free for labels.
        right: Inches to leave free for labels.
    """
    with _rc_lock, matplotlib.rc_context(_RC):
        figure = Figure(figsize=(shape.width, shape.height))
        axes = figure.subplots()
    top = 0.14 + _LEGEND_LINE * legend_rows + 0.36 * shape.is_titled
    figure.subplots_adjust(
        left=left / shape.width, right=1 - right / shape.width, bottom=0.52 / shape.height, top=1 - top / shape.height
    )
    if shape.is_titled:
        figure.text(
            0.12 / shape.width, 1 - 0.12 / shape.height, title, ha="left", va="top", fontsize=12, fontweight="bold",
            color=INK,
        )  # fmt: skip
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(NEUTRAL)
    axes.tick_params(which="both", colors=MUTED, labelsize=9, length=0, pad=5)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def label_axes(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x, color=MUTED, fontsize=9)
    axes.set_ylabel(y, color=MUTED, fontsize=9)


def add_legend(axes: Axes, shape: Shape, columns: int) -> None:
    """Above the axes, so that it never covers a curve."""
    handles, labels = axes.get_legend_handles_labels()
    axes.figure.legend(
        handles, labels, loc="upper left", ncols=columns, frameon=False, fontsize=9, labelcolor=INK,
        bbox_to_anchor=(0.1 / shape.width, 1 - (0.08 + 0.36 * shape.is_titled) / shape.height),
        borderaxespad=0, borderpad=0, handlelength=1.8, columnspacing=1.4, labelspacing=0.35,
    )  # fmt: skip


def series_colour(place: int) -> str:
    return SERIES[place % len(SERIES)]


def to_svg(figure: Figure) -> str:
    """An ``<svg>`` element: text stays text, colours are CSS variables, the same bytes for the same picture."""
    buffer = io.StringIO()
    with _rc_lock, matplotlib.rc_context(_RC), warnings.catch_warnings():
        # The viewer's fonts draw the text; ours only measure it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]+", f"font-family: {FONT}", svg)
    svg = re.sub(r"(font: [^;\"]*?\d(?:px)? )'[^;\"]+", rf"\g<1>{FONT}", svg)
    return re.sub(r"#[0-9a-f]{6}\b", _as_variable, svg)


def css_variables(colours: dict[str, str] | None = None) -> str:
    """The palette as CSS declarations: light, or ``colours`` in its place."""
    return " ".join(f"--{name}: {(colours or {}).get(colour, colour)};" for colour, name in NAMES.items())


def to_inline_svg(figure: Figure, name: str) -> str:
    """As ``to_svg``, for a page that holds several: ids carry ``name``, so that no picture borrows from another."""
    svg = to_svg(figure)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    return re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', r"<svg \1", svg, count=1)


def save_svg(figure: Figure, path: Path) -> Path:
    """A file that stands alone, light or dark as its viewer is."""
    svg = to_svg(figure)
    style = (
        f"<style>svg {{ {css_variables()} background: var(--paper); }} "
        f"@media (prefers-color-scheme: dark) {{ svg {{ {css_variables(DARK)} }} }}</style>"
    )
    end = svg.index(">") + 1
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{svg[:end]}{style}{svg[end:]}', encoding="utf-8")
    return path


def save_png(figure: Figure, path: Path) -> Path:
    """For viewers that show no SVG: 1216 pixels wide, light."""
    with _rc_lock, matplotlib.rc_context(_RC):
        figure.savefig(path, format="png", dpi=190, facecolor="#ffffff", metadata={"Software": None})
    return path


def _as_variable(found: re.Match[str]) -> str:
    colour = found.group()
    return f"var(--{NAMES[colour]}, {colour})" if colour in NAMES else colour
