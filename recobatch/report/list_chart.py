"""The picture of the lists of a batch."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recobatch.report.lists import ListResult
from recobatch.report.style import INK, MARKERS, MUTED, NEUTRAL, SERIES, finish, new_axes

_LABEL_GAP = 0.085
"""Least distance of two labels, as a share of the height."""


def draw_lists(lists: Sequence[ListResult]) -> Figure:
    """NDCG against the popularity of what is recommended, every way to rank a point."""
    longest = max(len(each.name) for each in lists)
    axes = new_axes("Lists: quality against popularity", right=min(0.4 + 0.068 * longest, 2.4))
    ndcg = np.array([each.ndcg for each in lists])
    top = float(ndcg.max()) * 1.12 or 1.0
    axes.set_ylim(0, top)
    places = _spread(ndcg / top)
    for each, place in zip(lists, places, strict=True):
        colour, marker = _series(each)
        axes.plot(each.popularity, each.ndcg, marker, color=colour, markersize=9 if each.is_published else 6)
        axes.annotate(
            each.name, (each.popularity, each.ndcg), (1.04, place), textcoords="axes fraction", va="center",
            fontsize=8, fontweight="bold" if each.is_published else "normal", color=MUTED if each.is_baseline else INK,
            parse_math=False, annotation_clip=False, arrowprops={"arrowstyle": "-", "color": NEUTRAL, "linewidth": 0.7},
        )  # fmt: skip
    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    return finish(axes, "mean training ratings of the items in a list", f"NDCG@{lists[0].k}")


def _series(result: ListResult) -> tuple[str, str]:
    if result.is_baseline:
        return NEUTRAL, MARKERS[1]
    return SERIES[0] if result.is_published else SERIES[1], MARKERS[0]


def _spread(wanted: np.ndarray) -> np.ndarray:
    """Heights near the wanted ones, within [0, 1], at least the gap apart as long as there is room."""
    order = np.argsort(wanted, kind="stable")
    gap = min(_LABEL_GAP, 1 / max(len(wanted), 1))
    placed = np.empty(len(wanted))
    lowest = 0.0
    for rank, number in enumerate(order):
        above = len(order) - 1 - rank
        placed[number] = min(max(wanted[number], lowest), 1 - above * gap)
        lowest = placed[number] + gap
    return placed
