"""The picture of a search: which settings mattered, and how the error fell."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from recobatch.report.style import INK, MUTED, NEUTRAL, SERIES, figure_settings, finish, new_axes, standalone, to_svg


def draw_search(errors: Sequence[float], baseline: float | None) -> str:
    """Validation error of every finished trial, and the lowest so far: an SVG file.

    Args:
        errors: Mean squared errors in the order of the trials.
        baseline: That of the settings in force; None if they could not be trained.
    """
    with figure_settings():
        axes = new_axes("Validation MSE by trial", legend_rows=1)
        numbers = np.arange(1, len(errors) + 1)
        axes.plot(numbers, errors, "o", color=NEUTRAL, markersize=3.5, label="a finished trial")
        if len(errors):
            axes.plot(
                numbers, np.minimum.accumulate(errors), drawstyle="steps-post", color=SERIES[0], linewidth=2,
                label="lowest so far",
            )  # fmt: skip
            low, high = min(errors), float(np.quantile(errors, 0.9))
            top = max(high, baseline or high)
            axes.set_ylim(low - 0.05 * (top - low or 1), top + 0.1 * (top - low or 1))  # a bad trial may be far above
        if baseline is not None:
            axes.axhline(baseline, linestyle=":", color=SERIES[1], linewidth=1.6, label="settings in force")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        return standalone(to_svg(finish(axes, "finished trials", "MSE on held-out ratings", legend_columns=3)))


def draw_importance(shares: Mapping[str, float]) -> str:
    """Share of each setting in the difference between good trials and all of them: an SVG file.

    Args:
        shares: Setting → share within [0, 1], most important first; not empty.
    """
    with figure_settings():
        axes = new_axes("What the error depends on", left=0.4 + 0.075 * max(map(len, shares)))
        names, values = list(shares)[::-1], np.array(list(shares.values()))[::-1]
        axes.barh(range(len(names)), values, color=SERIES[0], height=0.6)
        axes.set_yticks(range(len(names)), names)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(0, max(float(values.max()) * 1.18, 1e-9))
        for place, value in enumerate(values):
            axes.annotate(
                f"{value:.0%}", (value, place), (4, 0), textcoords="offset points", va="center", color=INK, fontsize=8
            )
        axes.tick_params(axis="x", labelcolor=MUTED)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        return standalone(to_svg(finish(axes, "share", "")))
