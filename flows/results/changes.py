"""What changed since the batch before: the question an operator has when a run is green."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

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
        """The batch behind a snapshot; none where nothing was published yet."""
        if snapshot is None:
            return None
        told, facts = snapshot.manifest.extra.get("summary", {}), snapshot.manifest.extra.get("facts") or {}
        sizes = {"ratings": facts.get("ratings"), **told.get("data", {})}
        models = dict(told.get("models", {}))
        if facts.get("test_mse") is not None:
            of_champion = {"test_mse": facts["test_mse"], "test_rmse": math.sqrt(facts["test_mse"])}
            models[snapshot.champion] = {**of_champion, **models.get(snapshot.champion, {})}
        return cls(
            f"version {snapshot.version}", snapshot.champion,
            {name: sizes[name] for name in _SIZES if sizes.get(name) is not None},
            {name: _errors(model) for name, model in models.items()},
        )  # fmt: skip

    @classmethod
    def registered(cls, tracker: Tracker) -> Self | None:
        """The batch whose champion is in the registry; none where there is none, or MLflow is away.

        To be asked before a new champion is registered.
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
            {run.model: _errors(run.metrics) for run in runs},
        )  # fmt: skip


def changes(result: Mapping[str, Any], before: PreviousBatch | None) -> dict[str, Any] | None:
    """Differences of a summary from an earlier batch, where both know the figure; none without an earlier one."""
    if before is None:
        return None
    now = {name: _errors(model) for name, model in result["models"].items()}
    return {
        "since": before.label,
        "champion": {"before": before.champion, "now": result["champion"]},
        "champion_changed": before.champion != result["champion"],
        "data": {name: result["data"][name] - size for name, size in before.sizes.items() if name in result["data"]},
        "models": {
            name: {key: round(errors[key] - old[key], 6) + 0.0 for key in _ERRORS if key in errors and key in old}
            for name, errors in now.items() if (old := before.errors.get(name))
        },
    }  # fmt: skip


def _errors(model: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(model[key]) for key in _ERRORS if model.get(key) is not None}
