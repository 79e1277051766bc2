"""One figure of every model by fold."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recobatch.report.style import MARKERS, NEUTRAL, SERIES, finish, new_axes

_BASELINE_STYLES = ("--", ":", "-.")


def draw_folds(
    title: str, models: Mapping[str, Sequence[float | None]], baselines: Mapping[str, Sequence[float | None]]
) -> Figure:
    """A line for each model, and a grey one for each baseline.

    Args:
        title: Of the figure.
        models: Figure by fold, by the name of a model; None where there is none.
        baselines: Likewise.
    """
    n_series = len(models) + len(baselines)
    axes = new_axes(title, legend_rows=-(-n_series // 2))
    for place, (name, values) in enumerate(models.items()):
        _line(axes, name, values, color=SERIES[place % len(SERIES)], marker=MARKERS[place % len(MARKERS)])
    for place, (name, values) in enumerate(baselines.items()):
        style = _BASELINE_STYLES[place % len(_BASELINE_STYLES)]
        _line(axes, f"baseline {name}", values, color=NEUTRAL, linestyle=style)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.04, y=0.12)
    return finish(axes, "fold", "", legend_columns=2)


def _line(axes: Axes, name: str, values: Sequence[float | None], **style: str) -> None:
    known = [(number, value) for number, value in enumerate(values, 1) if value is not None]
    axes.plot(*np.array(known).reshape(-1, 2).T, label=name, linewidth=1.6, markersize=5, **style)
