"""The picture of the intervals of a batch."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from recobatch.report.coverage import CoverageResult
from recobatch.report.style import MARKERS, MUTED, NEUTRAL, SERIES, finish, new_axes

_WANTED = 0.9
_TOLERATED = 0.02


def draw_coverage(result: CoverageResult) -> Figure:
    """Coverage by decile of user activity and of item popularity; deciles with too few rows are left out."""
    axes = new_axes(f"Intervals of {result.name}: coverage by decile", legend_rows=1)
    groups = {"user activity": result.by_user_activity, "item popularity": result.by_item_popularity}
    axes.axhspan(_WANTED - _TOLERATED, _WANTED + _TOLERATED, color=NEUTRAL, alpha=0.25, linewidth=0)
    axes.axhline(_WANTED, color=MUTED, linestyle=":", linewidth=1.4)
    shown = [_WANTED - 2 * _TOLERATED, _WANTED + 2 * _TOLERATED]
    for place, (name, shares) in enumerate(groups.items()):
        share = np.array([np.nan if each is None else each for each in shares], dtype=float)
        axes.plot(
            np.arange(1, len(share) + 1), share, color=SERIES[place], marker=MARKERS[place], markersize=5, label=name
        )
        shown += share[np.isfinite(share)].tolist()
    axes.set_ylim(min(shown) - 0.005, min(max(shown) + 0.005, 1.0))
    axes.set_xticks(range(1, 11))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return finish(axes, "tenth of the test rows, from the least to the most", "ratings within", legend_columns=2)
