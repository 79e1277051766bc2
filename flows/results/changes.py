"""What changed since the batch before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from flows.results.model_summary import ModelSummary
from flows.results.summary import BatchSummary, Change
from recobatch.errors import RecobatchError

if TYPE_CHECKING:
    from recobatch.table import Published
    from recobatch.tracking import Tracker

_SIZES = ("ratings", "users", "items")
_ERRORS = ("test_mse", "test_rmse")


@dataclass(frozen=True)
class PreviousBatch:
    """An earlier batch, as far as it is known."""

    label: str
    """As in "since …"."""
    champion: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Ratings, users, items."""
    errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Model → ``test_mse``, ``test_rmse``."""

    @classmethod
    def published(cls, snapshot: Published | None) -> Self | None:
        """The batch behind a snapshot; None where nothing was published yet."""
        if snapshot is None:
            return None
        summary, facts = BatchSummary.of_manifest(snapshot.manifest), snapshot.manifest.extra.get("facts") or {}
        sizes = {name: getattr(summary.data, name) or facts.get(name) for name in _SIZES}
        errors = {name: _errors(model) for name, model in summary.models.items()}
        if (mse := facts.get("test_mse")) is not None:
            of_champion = {"test_mse": mse, "test_rmse": math.sqrt(mse)}
            errors[snapshot.champion] = of_champion | errors.get(snapshot.champion, {})
        return cls(
            f"version {snapshot.version}", snapshot.champion,
            {name: size for name, size in sizes.items() if size is not None}, errors,
        )  # fmt: skip

    @classmethod
    def registered(cls, tracker: Tracker) -> Self | None:
        """The batch of the registry's champion; None where there is none, or MLflow is unreachable.

        To be called before a new champion is registered.
        """
        if not tracker.is_up:
            return None
        try:
            champion = tracker.champion()
            batch_id = champion.tags.get("batch_id", "")
            runs = tracker.past_runs(batch_id) if batch_id else []
        except RecobatchError:
            return None
        figures = next((run.metrics for run in runs), {})
        return cls(
            f"batch {batch_id or champion.version}", champion.tags.get("model", "champion"),
            {name: int(figures[name]) for name in _SIZES if name in figures},
            {run.model: {key: run.metrics[key] for key in _ERRORS if key in run.metrics} for run in runs},
        )  # fmt: skip


def changes(summary: BatchSummary, before: PreviousBatch | None) -> Change | None:
    """Differences of a batch from an earlier one, where both have the figure; None without an earlier one."""
    if before is None:
        return None
    sizes = {name: getattr(summary.data, name) for name in before.sizes}
    return Change(
        before.label, before.champion, summary.champion,
        {name: size - before.sizes[name] for name, size in sizes.items() if size is not None},
        {
            name: {key: round(error - old[key], 6) + 0.0 for key, error in _errors(model).items() if key in old}
            for name, model in summary.models.items() if (old := before.errors.get(name))
        },
    )  # fmt: skip


def with_overlap(summary: BatchSummary, overlap: float | None) -> BatchSummary:
    """The summary with the share of items that users' lists have in common with the published ones, if it is known."""
    if summary.change is None or overlap is None:
        return summary
    return replace(summary, change=replace(summary.change, overlap_at_10=round(overlap, 6)))


def _errors(model: ModelSummary) -> dict[str, float]:
    return {key: float(error) for key in _ERRORS if (error := getattr(model, key)) is not None}
