"""The style of every figure: size, axes, a palette for light and dark, and SVG that follows it."""

import io
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID, NEUTRAL, PAPER = "#1c2126", "#5b6571", "#e2e6ea", "#b3bcc5", "#fefefe"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""The palette of Okabe and Ito for colour-blind readers; series differ in marker or line style besides."""
MARKERS = "os^D"

_DARK = {
    INK: "#e8ebee", MUTED: "#a3adb8", GRID: "#343b43", NEUTRAL: "#66717d", PAPER: "#16191d",
    "#0072b2": "#56b4e9", "#d55e00": "#f0932b", "#009e73": "#2fc495", "#cc79a7": "#e0a3c6",
}  # fmt: skip
_VARIABLES = {
    INK: "ink", MUTED: "muted", GRID: "grid", NEUTRAL: "neutral", PAPER: "paper",
    **{colour: f"series-{place}" for place, colour in enumerate(SERIES, 1)},
}  # fmt: skip
LIGHT_CSS = " ".join(f"--{name}: {colour};" for colour, name in _VARIABLES.items())
DARK_CSS = " ".join(f"--{name}: {_DARK[colour]};" for colour, name in _VARIABLES.items())
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

SIZE = (5.0, 3.2)
"""Inches, width and height: text of 9 points stays legible on a telephone and is not large on a desk."""
_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "recobatch", "font.family": ["DejaVu Sans"], "font.size": 9}
_settings_lock = threading.Lock()


@contextmanager
def figure_settings() -> Iterator[None]:
    """Matplotlib's settings for drawing and saving, restored afterwards; they are global, so one thread at a time."""
    with _settings_lock, matplotlib.rc_context(_SETTINGS), warnings.catch_warnings():
        # The viewer's fonts render the text; ours only measure it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def new_axes(title: str, *, legend_rows: int = 0, left: float = 0.62, right: float = 0.14) -> Axes:
    """Empty axes of a new figure, apart from pyplot's global state; fixed margins, since fitting them draws twice.

    Args:
        title: Heading of the figure.
        legend_rows: Lines to leave free above the axes.
        left: Inches to leave free for labels.
        right: Inches to leave free for labels.
    """
    width, height = SIZE
    figure = Figure(figsize=SIZE)
    axes = figure.subplots()
    figure.subplots_adjust(left / width, 0.52 / height, 1 - right / width, 1 - (0.46 + 0.2 * legend_rows) / height)
    figure.text(0.02 / width, 1 - 0.1 / height, title, va="top", fontsize=11, fontweight="bold", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(NEUTRAL)
    axes.tick_params(which="both", colors=MUTED, length=0, pad=5)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def finish(axes: Axes, x: str, y: str, *, legend_columns: int = 0) -> Figure:
    """Label the axes, and put a legend above them, where it covers no curve."""
    axes.set_xlabel(x, color=MUTED)
    axes.set_ylabel(y, color=MUTED)
    if legend_columns:
        axes.figure.legend(
            loc="upper left", ncols=legend_columns, frameon=False, labelcolor=INK, borderaxespad=0, borderpad=0,
            bbox_to_anchor=(0.02 / SIZE[0], 1 - 0.38 / SIZE[1]), handlelength=1.8, columnspacing=1.4, labelspacing=0.35,
        )  # fmt: skip
    return axes.figure


def to_svg(figure: Figure) -> str:
    """An ``<svg>`` element: text stays text, colours are CSS variables, the same bytes for the same figure."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    svg = buffer.getvalue()
    return re.sub(
        "|".join(_VARIABLES), lambda found: f"var(--{_VARIABLES[found[0]]}, {found[0]})", svg[svg.index("<svg") :]
    )


def standalone(svg: str) -> str:
    """The element as a file of its own, light or dark as its viewer is."""
    end = svg.index(">") + 1
    style = (
        f"<style>svg {{ {LIGHT_CSS} background: var(--paper); }} text {{ font-family: {FONT} !important; }} "
        f"@media (prefers-color-scheme: dark) {{ svg {{ {DARK_CSS} }} }}</style>"
    )
    return f'<?xml version="1.0" encoding="utf-8"?>\n{svg[:end]}{style}{svg[end:]}'


def inline(svg: str, name: str) -> str:
    """The element for a page that holds several: scalable, and with ids that start with ``name``."""
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg)
    return re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', r"<svg \1", svg, count=1)
