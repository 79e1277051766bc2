"""Figures of models and baselines on several folds, summarized."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

from recobatch.evaluation.fold_errors import FoldErrors, is_warm
from recobatch.evaluation.folds import Fold
from recobatch.evaluation.rankings import Rankings
from recobatch.evaluation.significance import PairedTest, Spread, paired_test
from recobatch.evaluation.uncertainty import UncertaintyQuality
from recobatch.interactions import Split

BASELINES = ("global_mean", "bias", "popularity")
Figures = Mapping[str, float | None]
"""Metric → figure of a model on one fold."""


@dataclass(frozen=True)
class FoldFigures:
    """One fold: its size, and the figures of every model and baseline on it."""

    name: str
    train: int
    """Training ratings."""
    test: int
    """Test ratings."""
    cold: int
    """Test ratings whose user or item has no training rating."""
    since: int | None
    """Unix seconds of the first test rating of a window."""
    until: int | None
    models: Mapping[str, Figures] = field(default_factory=dict)
    """Of models and baselines by name."""

    @classmethod
    def of(cls, fold: Fold, split: Split, models: Mapping[str, Figures]) -> "FoldFigures":
        cold = int((~is_warm(split)).sum())
        return cls(fold.name, len(split.train), len(split.test), cold, fold.since, fold.until, models)

    def sizes(self) -> dict[str, Any]:
        """Plain values without the figures, ready for JSON."""
        values = asdict(self)
        del values["models"]
        return values


def figures_of(
    errors: FoldErrors | None, rankings: Rankings | None, intervals: UncertaintyQuality | None = None,
    train_seconds: float | None = None,
) -> dict[str, float | None]:  # fmt: skip
    """The figures of a model on one fold, by their names in ``--json`` and MLflow; unknown ones are left out."""
    figures: dict[str, float | None] = {} if errors is None else dict(asdict(errors))
    if rankings is not None:
        figures |= rankings.metrics()
    if intervals is not None:
        figures |= {"coverage_90": intervals.coverage, "interval_width": intervals.mean_width, "crps": intervals.crps}
    return figures if train_seconds is None else figures | {"train_seconds": train_seconds}


def summarize_folds(folds: Sequence[FoldFigures]) -> dict[str, dict[str, Spread]]:
    """Name of a model or baseline → metric → mean, spread and figures by fold."""
    names = list(dict.fromkeys(name for fold in folds for name in fold.models))
    summary = {}
    for name in names:
        metrics = dict.fromkeys(metric for fold in folds for metric in fold.models.get(name, {}))
        summary[name] = {
            metric: Spread.of([fold.models.get(name, {}).get(metric) for fold in folds]) for metric in metrics
        }
    return summary


def compare_pairs(
    summary: Mapping[str, Mapping[str, Spread]], names: Sequence[str], metrics: Sequence[str], *,
    test_share: float | None,
) -> list[PairedTest]:  # fmt: skip
    """A paired test of every two models that have a metric; see ``paired_test``."""
    tests = [
        paired_test(metric, (a, b), (summary[a][metric], summary[b][metric]), test_share=test_share)
        for metric in metrics
        for a, b in combinations(names, 2)
        if metric in summary[a] and metric in summary[b]
    ]
    return [test for test in tests if test is not None]
