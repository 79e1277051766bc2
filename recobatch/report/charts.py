"""One function per figure, each for one model or several."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from recobatch.report.evaluation_summary import Calibration, GroupErrors, Histogram
from recobatch.report.inputs import ModelResult
from recobatch.report.projection import project_items
from recobatch.report.style import INK, MARKERS, MUTED, NEUTRAL, PAPER, SERIES, SIZE, finish, new_axes

_MAPPED_ITEMS = 500
_MARKER_SIZES = ((0.5, 9.0), (0.25, 6.5), (0.1, 5.0), (0.0, 3.5))
"""Share of the most rated item's ratings, and the marker's size in points from there on."""
_LABELLED_ITEMS = 14
_LABEL_LENGTH = 26


def draw_loss(models: Sequence[ModelResult], title: str = "Loss per epoch") -> Figure:
    """Loss on training and held-out rows per epoch."""
    axes = new_axes(title, legend_rows=1 + (len(models) + 1) // 2)
    for place, model in enumerate(models):
        colour, marker = _series(place)
        axes.plot(range(1, len(model.loss) + 1), model.loss, "--", color=colour, linewidth=1.5)
        axes.plot(
            range(1, len(model.val_loss) + 1), model.val_loss, color=colour, marker=marker, linewidth=2.2,
            markersize=4.5, label=model.name,
        )  # fmt: skip
    axes.plot([], [], color=MUTED, linewidth=2.2, label="val_loss (held out)")
    axes.plot([], [], "--", color=MUTED, linewidth=1.5, label="loss (training)")
    losses = np.concatenate([[*model.loss, *model.val_loss] for model in models])
    losses = losses[np.isfinite(losses) & (losses > 0)]
    # On a linear axis a first epoch far above the others would flatten them.
    if len(losses) and losses.max() >= 4 * losses.min():
        axes.set_yscale("log")
        axes.set_ylim(losses.min() * 0.93, losses.max() * 1.07)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    lengths = [len(model.loss) for model in models if len(model.loss)]
    if lengths and max(lengths) >= 8 * min(lengths):  # hundreds of sweeps would press a few epochs against the axis
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        return finish(axes, "epoch or sweep", "squared error and penalty", legend_columns=2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    return finish(axes, "epoch", "squared error and penalty", legend_columns=2)


def draw_calibration(groups: Mapping[str, Calibration]) -> Figure:
    """Mean rating against mean prediction, in tenths of the test rows, by model."""
    axes = new_axes("Calibration: mean rating by prediction", legend_rows=1)
    values = np.concatenate([[*group.predicted, *group.observed] for group in groups.values()])
    limits = values.min() - 0.15, values.max() + 0.15
    axes.plot(limits, limits, ":", color=MUTED, linewidth=1.4, label="perfect")
    for place, (name, group) in enumerate(groups.items()):
        colour, marker = _series(place)
        axes.plot(group.predicted, group.observed, color=colour, marker=marker, markersize=5, linewidth=1.6, label=name)
    axes.set(xlim=limits, ylim=limits)
    return finish(axes, "mean prediction of a tenth of the test rows", "their mean rating", legend_columns=3)


def draw_group_errors(errors: GroupErrors, title: str, label: str) -> Figure:
    """RMSE by how many training ratings the user or item has."""
    axes = new_axes(title, legend_rows=1, left=0.45 + 0.075 * max(map(len, errors.labels)), right=0.75)
    height = np.arange(len(errors.labels))
    by_model = np.array([*errors.rmse.values()])
    axes.hlines(height, by_model.min(axis=0), by_model.max(axis=0), color=NEUTRAL, linewidth=2, zorder=1)
    for place, (name, rmse) in enumerate(errors.rmse.items()):
        colour, marker = _series(place)
        axes.plot(rmse, height, marker, color=colour, markersize=7, label=name)
    axes.set_yticks(height, errors.labels)
    axes.set_ylim(len(height) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.margins(x=0.08)
    # A second axis for the group sizes would cost as much time as the whole figure.
    for row, text in zip([-0.75, *height], ["test rows", *(f"{size:,}" for size in errors.sizes)], strict=True):
        axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), fontsize=8, color=MUTED, va="center")
    return finish(axes, "typical error (RMSE, rating units)", label, legend_columns=2)


def draw_distribution(histogram: Histogram) -> Figure:
    """Shares of predictions and of ratings along the rating scale."""
    axes = new_axes("Predictions and ratings of the test rows", legend_rows=1 + len(histogram.predictions) // 2)
    axes.bar(
        (histogram.edges[:-1] + histogram.edges[1:]) / 2, histogram.ratings, width=np.diff(histogram.edges) * 0.8,
        color=NEUTRAL, label="ratings",
    )  # fmt: skip
    for place, (name, share) in enumerate(histogram.predictions.items()):
        axes.stairs(share, histogram.edges, color=_series(place)[0], linewidth=2, label=name)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlim(histogram.shown)
    axes.grid(axis="x", visible=False)
    return finish(axes, "rating", "share of the test rows", legend_columns=2)


def draw_item_map(model: ModelResult, n_ratings: np.ndarray, titles: Sequence[str]) -> Figure:
    """The most rated items by similarity of their factors, the most rated of them with titles.

    Args:
        model: Its item factors are projected.
        n_ratings: Training ratings of each item, integers, shape ``(n_items,)``.
        titles: One per item.
    """
    axes = new_axes(f"Map of the items: {model.name}", left=0.36)
    positions, shown = project_items(model.item_factors)
    popular = np.argsort(-n_ratings, kind="stable")[:_MAPPED_ITEMS]
    rest = popular
    for share, size in _MARKER_SIZES:
        drawn = rest[n_ratings[rest] >= share * n_ratings.max()]
        rest = rest[len(drawn) :]
        axes.plot(*positions[drawn].T, "o", color=SERIES[0], alpha=0.35, markersize=size, markeredgewidth=0)
    # Limits by percentile: a few outliers would squeeze all other items together.
    low, high = np.percentile(positions[popular], [0.5, 99.5], axis=0)
    margin = np.maximum([0.16, 0.1] * (high - low), 1e-6)
    axes.axis(tuple(np.column_stack([low - margin, high + margin]).ravel()))
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    candidates = popular[: _LABELLED_ITEMS * 6]
    _label_items(axes, positions[candidates], [titles[item] for item in candidates])
    return finish(axes, "strongest direction of the factors", f"second strongest (both: {shown:.0%})")


def _label_items(axes: Axes, positions: np.ndarray, titles: Sequence[str]) -> None:
    """Write the first titles that overlap no other and lie inside the axes."""
    inches = np.array(SIZE) * axes.get_position().size
    low, high = np.column_stack([axes.get_xlim(), axes.get_ylim()])
    placed: list[tuple[np.ndarray, np.ndarray]] = []
    for position, title in zip(positions, titles, strict=True):
        text = title if len(title) <= _LABEL_LENGTH else f"{title[: _LABEL_LENGTH - 1]}…"
        centre, half = (position - low) / (high - low) * inches, 0.034 * len(text) + 0.04
        start, end = centre - np.array([half, 0.05]), centre + np.array([half, 0.2])
        is_free = all((start >= other_end).any() or (end <= other).any() for other, other_end in placed)
        if len(placed) < _LABELLED_ITEMS and is_free and (start > 0).all() and (end < inches).all():
            placed.append((start, end))
            axes.plot(*position, "o", color=INK, markersize=3)
            axes.annotate(
                text, position, (0, 5), textcoords="offset points", ha="center", fontsize=8, color=INK,
                parse_math=False, bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 1},
            )  # fmt: skip


def draw_test_errors(errors: Mapping[str, float], champion: str) -> Figure:
    """Mean squared test error by the name of a model or baseline, smallest first."""
    names = sorted(errors, key=errors.__getitem__)
    axes = new_axes("Test error", left=0.25 + 0.078 * max(map(len, names)), right=0.3)
    bars = axes.barh(
        names, [errors[name] for name in names], height=0.55,
        color=[SERIES[0] if name == champion else NEUTRAL for name in names],
    )  # fmt: skip
    axes.bar_label(bars, fmt="%.3f", padding=4, color=INK)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.12)
    axes.grid(axis="y", visible=False)
    return finish(axes, "mean squared test error", "")


def _series(place: int) -> tuple[str, str]:
    """Colour and marker of the model at ``place``."""
    return SERIES[place % len(SERIES)], MARKERS[place % len(MARKERS)]
