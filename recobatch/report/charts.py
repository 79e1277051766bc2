"""One function a picture; each draws one model or several."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from recobatch.report.evaluation_summary import GroupErrors, Histogram
from recobatch.report.grouping import Calibration, map_items
from recobatch.report.inputs import ModelResult, TestRows
from recobatch.report.style import (
    INK,
    MUTED,
    NEUTRAL,
    PAPER,
    Shape,
    add_legend,
    label_axes,
    new_axes,
    series_colour,
)  # fmt: skip

_MARKERS = "os^D"
_MAPPED_ITEMS = 500
_MARKER_SIZES = ((0.5, 9.0), (0.25, 6.5), (0.1, 5.0), (0.0, 3.5))
"""Share of the most rated item's ratings, and the marker's size in points from there on."""
_LABELLED_ITEMS = 16


def draw_loss(histories: Mapping[str, tuple[Sequence[float], Sequence[float]]], shape: Shape) -> Figure:
    """Loss and val_loss per epoch.

    Args:
        histories: Model name to its losses per epoch, training then held-out (possibly empty).
        shape: Size of the picture.
    """
    axes = new_axes(shape, "Loss per epoch", legend_rows=2)
    for place, (name, (loss, val_loss)) in enumerate(histories.items()):
        colour, marker = series_colour(place), _MARKERS[place % len(_MARKERS)]
        axes.plot(range(1, len(loss) + 1), loss, "--", color=colour, linewidth=1.5)
        axes.plot(range(1, len(val_loss) + 1), val_loss, color=colour, linewidth=2.2, marker=marker, markersize=4.5)
        axes.plot([], [], color=colour, linewidth=2.2, marker=marker, markersize=4.5, label=name)
    axes.plot([], [], color=MUTED, linewidth=2.2, label="val_loss (held out)")
    axes.plot([], [], "--", color=MUTED, linewidth=1.5, label="loss (training)")
    _fit_loss_axis(axes, np.concatenate([np.concatenate(losses) for losses in histories.values()]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    label_axes(axes, "epoch", "squared error and penalty")
    add_legend(axes, shape, columns=2)
    return axes.figure


def _fit_loss_axis(axes: Axes, values: np.ndarray) -> None:
    """A first epoch far above the rest would flatten all that matters: a log scale then, labelled in plain numbers."""
    finite = values[np.isfinite(values) & (values > 0)]
    if not len(finite) or finite.max() < 4 * finite.min():
        return
    axes.set_yscale("log")
    ladder = np.array([0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20, 50, 100, 200, 500, 1000])
    low, high = finite.min() * 0.93, finite.max() * 1.07
    axes.set_ylim(low, high)
    axes.set_yticks(ladder[(ladder >= low) & (ladder <= high)])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def draw_calibration(groups: Mapping[str, Calibration], shape: Shape) -> Figure:
    """Mean rating against mean prediction, in tenths of the test rows, by model."""
    axes = new_axes(shape, "Calibration: what was predicted, and what users gave", legend_rows=1 + shape.is_narrow)
    every = np.concatenate([np.concatenate([group.predicted, group.observed]) for group in groups.values()])
    low, high = every.min() - 0.15, every.max() + 0.15
    axes.plot([low, high], [low, high], ":", color=MUTED, linewidth=1.4, label="perfect")
    for place, (name, group) in enumerate(groups.items()):
        axes.plot(
            group.predicted, group.observed, color=series_colour(place), marker=_MARKERS[place % len(_MARKERS)],
            markersize=5, linewidth=1.6, label=name,
        )  # fmt: skip
    axes.set(xlim=(low, high), ylim=(low, high))
    label_axes(axes, "mean prediction of a tenth of the test rows", "their mean rating")
    add_legend(axes, shape, columns=2 if shape.is_narrow else 3)
    return axes.figure


def draw_error_by_activity(errors: GroupErrors, shape: Shape) -> Figure:
    """RMSE by how many ratings of the user were trained on."""
    return _draw_errors(errors, shape, "Error by user activity", "ratings of the user in training")


def draw_error_by_popularity(errors: GroupErrors, shape: Shape) -> Figure:
    """RMSE by how many ratings of the item were trained on."""
    return _draw_errors(errors, shape, "Error by item popularity", "ratings of the item in training")


def _draw_errors(errors: GroupErrors, shape: Shape, title: str, what: str) -> Figure:
    groups = errors.groups
    axes = new_axes(shape, title, legend_rows=1, left=0.45 + 0.075 * max(map(len, groups.labels)), right=0.75)
    height = np.arange(len(groups.labels))
    if len(errors.rmse) > 1:
        every = list(errors.rmse.values())
        axes.hlines(height, np.min(every, axis=0), np.max(every, axis=0), color=NEUTRAL, linewidth=2, zorder=1)
    for place, (name, error) in enumerate(errors.rmse.items()):
        marker = _MARKERS[place % len(_MARKERS)]
        axes.plot(error, height, marker, color=series_colour(place), markersize=7, label=name)
    axes.set_yticks(height, groups.labels)
    axes.set_ylim(len(height) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if shape.is_narrow else 7))
    axes.margins(x=0.08)
    _write_beside(axes, [f"{size:,}" for size in groups.sizes], "test rows")
    label_axes(axes, "typical error (RMSE, rating units)", what)
    add_legend(axes, shape, columns=2)
    return axes.figure


def _write_beside(axes: Axes, texts: Sequence[str], heading: str) -> None:
    """One text a row, right of the axes; a second axis would cost as much as the whole picture."""
    place = axes.get_yaxis_transform()
    for row, text in enumerate([heading, *texts], -1):
        axes.text(
            1.02, row if row >= 0 else -0.75, text, transform=place, fontsize=8, color=MUTED,
            va="center" if row >= 0 else "bottom",
        )  # fmt: skip


def draw_distribution(histogram: Histogram, shape: Shape) -> Figure:
    """Shares of predictions and of ratings along the rating scale."""
    rows = 1 + (len(histogram.predictions) if shape.is_narrow else 1)
    axes = new_axes(shape, "Predictions and ratings of the test rows", legend_rows=rows)
    middles = (histogram.edges[:-1] + histogram.edges[1:]) / 2
    axes.bar(middles, histogram.ratings, width=np.diff(histogram.edges) * 0.8, color=NEUTRAL, label="ratings")
    for place, (name, share) in enumerate(histogram.predictions.items()):
        axes.stairs(share, histogram.edges, color=series_colour(place), linewidth=2, label=f"predictions of {name}")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlim(histogram.shown)
    axes.grid(axis="x", visible=False)
    label_axes(axes, "rating", "share of the test rows")
    add_legend(axes, shape, columns=1 if shape.is_narrow else 2)
    return axes.figure


def draw_item_map(model: ModelResult, test: TestRows, titles: Sequence[str], shape: Shape) -> Figure:
    """Items whose factors are alike lie together: the most rated ones, the very most rated ones by name."""
    axes = new_axes(shape, f"Map of the items: {model.name}", left=0.36)
    positions, shown = map_items(model.item_factors)
    counts = test.ratings_of_item
    popular = np.argsort(-counts, kind="stable")
    drawn = popular[:_MAPPED_ITEMS]
    for share, size in _MARKER_SIZES:
        some = drawn[counts[drawn] >= share * counts.max()]
        drawn = drawn[len(some) :]
        axes.plot(*positions[some].T, "o", color=series_colour(0), alpha=0.35, markersize=size, markeredgewidth=0)
    _zoom(axes, positions[popular[:_MAPPED_ITEMS]])
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    label_axes(axes, "strongest direction of the factors", f"second strongest (both: {shown:.0%})")
    named = popular[: _LABELLED_ITEMS * 6]
    _name_items(axes, positions[named], [titles[item] for item in named], shape)
    return axes.figure


def _zoom(axes: Axes, positions: np.ndarray) -> None:
    """A few far outliers must not squeeze the rest into a blot."""
    low, high = np.percentile(positions, [0.5, 99.5], axis=0)
    margin = np.maximum(0.08 * (high - low), 1e-6)
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))


def _name_items(axes: Axes, positions: np.ndarray, titles: Sequence[str], shape: Shape) -> None:
    """Write as many names as fit without touching each other, the most popular first."""
    inches = np.array([shape.width, shape.height]) * axes.get_position().size
    low, high = np.column_stack([axes.get_xlim(), axes.get_ylim()])
    longest, most = (20, _LABELLED_ITEMS // 2) if shape.is_narrow else (30, _LABELLED_ITEMS)
    taken: list[tuple[float, float, float, float]] = []
    for position, title in zip(positions, titles, strict=True):
        text = title if len(title) <= longest else f"{title[: longest - 1]}…"
        x, y = (position - low) / (high - low) * inches
        half = 0.034 * len(text) + 0.04
        box = (x - half, x + half, y - 0.05, y + 0.2)
        fits = box[0] > 0 and box[1] < inches[0] and box[2] > 0 and box[3] < inches[1]
        if fits and len(taken) < most and not any(_overlap(box, other) for other in taken):
            taken.append(box)
            axes.plot(*position, "o", color=INK, markersize=3)
            axes.annotate(
                text, position, (0, 5), textcoords="offset points", ha="center", fontsize=8, color=INK,
                parse_math=False, bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 1},
            )  # fmt: skip


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def draw_headline(errors: Mapping[str, float], highlighted: str, shape: Shape) -> Figure:
    """Test error of the models and of what they have to beat, best first.

    Args:
        errors: Mean squared test error by name, as people should read it.
        highlighted: The name of the champion.
        shape: Size of the picture.
    """
    names = sorted(errors, key=errors.__getitem__)
    axes = new_axes(shape, "Test error", left=0.25 + 0.078 * max(map(len, names)), right=0.3)
    height = np.arange(len(names))
    values = [errors[name] for name in names]
    colours = [series_colour(0) if name == highlighted else NEUTRAL for name in names]
    axes.barh(height, values, height=0.55, color=colours)
    for place, value in enumerate(values):
        axes.annotate(
            f"{value:.3f}", (value, place), (4, 0), textcoords="offset points", va="center", fontsize=9, color=INK
        )
    axes.set_yticks(height, names)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.12)
    axes.grid(axis="y", visible=False)
    label_axes(axes, "mean squared test error", "")
    return axes.figure
