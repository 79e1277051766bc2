"""The summary of a batch: what ``--json`` prints, the manifest keeps, and every page and table shows.

docs/cli.md names its keys. A new figure is an optional field, which is left out of the JSON where it is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from flows.results.figures import Figures, dicts, known, present
from flows.results.model_summary import BaselineSummary, InterestSummary, ModelSummary

if TYPE_CHECKING:
    from recobatch.table import Manifest


@dataclass(frozen=True)
class DataSummary(Figures):
    """The ratings of a batch."""

    source: str | None = None
    ratings: int | None = None
    users: int | None = None
    items: int | None = None
    first_user: int | str | None = None
    """An id to try queries with."""
    quarantined: int | None = None
    reasons: Mapping[str, int] | None = None
    quarantine_path: str | None = None
    fingerprint: str | None = None
    train_rows: int | None = None
    validation_rows: int | None = None
    test_rows: int | None = None
    split_method: str | None = None
    """How the ratings were divided; what ``split.method=auto`` meant."""
    sorted_by: str | None = None
    """What the file is sorted by within users, where that would make a split in file order unfair."""
    news: Mapping[str, Any] | None = None
    """``RatingsDelta`` as JSON, and its text under ``told``; None where no ratings were read."""
    side_tables: Mapping[str, Any] | None = None
    """``users`` and ``items`` → columns that were used and not used, and counts; None without side tables."""
    scored_only: bool = False
    """Whether the batch trained nothing; not in the JSON, where only such a batch has ``news``."""

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        del values["scored_only"]
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return super().from_dict({**values, "scored_only": "news" in values})

    @property
    def _nullable(self) -> tuple[str, ...]:
        return ("news",) if self.scored_only else ("quarantine_path",)


@dataclass(frozen=True)
class TableSummary(Figures):
    """The published table."""

    path: str
    champion_path: str
    """Folder with the champion's predictions."""
    version: str
    rows: Mapping[str, int]
    """Predictions per model."""
    score_seconds: float = 0.0
    publish_seconds: float = 0.0


@dataclass(frozen=True)
class PromotionSummary(Figures):
    """Whether a training on its own moved the alias ``champion`` of the registry."""

    promoted: bool
    reason: str
    """One phrase, which begins with ``promoted``, ``not promoted`` or ``not registered``."""
    champion_version: int | None = None
    """The champion's before; None where there was none, or it is not known."""
    rows: int | None = None
    """Test ratings that both were measured on; None where they were not."""
    mse: float | None = None
    champion_mse: float | None = None
    difference_se: float | None = None
    """Standard error of the difference of the two, from the differences rating by rating."""


@dataclass(frozen=True)
class Change:
    """Differences from an earlier batch, where both have the figure."""

    since: str
    champion_before: str
    champion_now: str
    data: Mapping[str, int]
    """Differences of ``ratings``, ``users``, ``items``."""
    models: Mapping[str, Mapping[str, float]]
    """Model → differences of ``test_mse``, ``test_rmse``."""
    overlap_at_10: float | None = None
    """Mean share of the items that a user's ten best have in common with the published ones."""

    @property
    def champion_changed(self) -> bool:
        return self.champion_before != self.champion_now

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        champion = {"before": self.champion_before, "now": self.champion_now}
        overlap = {} if self.overlap_at_10 is None else {"overlap_at_10": self.overlap_at_10}
        return {
            "since": self.since, "champion": champion, "champion_changed": self.champion_changed,
            "data": self.data, "models": self.models, **overlap,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_dict``."""
        champion = values["champion"]
        return cls(
            values["since"], champion["before"], champion["now"], values["data"], values["models"],
            values.get("overlap_at_10"),
        )  # fmt: skip


@dataclass(frozen=True)
class BatchSummary:
    """The summary of a batch."""

    batch_id: str
    champion: str
    seconds: float = 0.0
    data: DataSummary = DataSummary()
    models: Mapping[str, ModelSummary] = field(default_factory=dict)
    baselines: Mapping[str, BaselineSummary] = field(default_factory=dict)
    """Empty where nothing was trained."""
    timings: Mapping[str, float] = field(default_factory=dict)
    reused: Sequence[str] = field(default_factory=list)
    change: Change | None = None
    table: TableSummary | None = None
    """None where nothing was published."""
    unchanged: bool = False
    """Whether nothing was published, because the table is that of an earlier batch."""
    rolled_back: str | None = None
    """Version that would have been published again but was rolled back."""
    report: str | None = None
    """Path of the page, relative to the project folder."""
    delivered_runs: int | None = None
    """None before the end of the batch."""
    interest: InterestSummary | None = None
    """None where there is none, or nothing was trained."""
    rankings_note: str | None = None
    """Why no rankings were measured."""
    promotion: PromotionSummary | None = None
    """None where a publish moves the registry's champion."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Model that the table does not have → why: it diverged, or it failed the gate and is not the champion; of a batch
    that only scores, models of the table before."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        values = present(self, "change") | {
            "data": self.data.to_dict(), "models": dicts(self.models), "change": self.change and self.change.to_dict(),
        }  # fmt: skip
        if self.table is not None:
            values["table"] = self.table.to_dict()
        if self.interest is not None:
            values["interest"] = self.interest.to_dict()
        if self.promotion is not None:
            values["promotion"] = self.promotion.to_dict()
        values["baselines"] = dicts(self.baselines)
        for name in ("baselines", "unchanged", "left_out"):
            if not values[name]:
                del values[name]
        return values | {"reused": list(self.reused)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_dict``; unknown keys are ignored, and only the champion and the batch id are required."""
        table, change, interest = values.get("table"), values.get("change"), values.get("interest")
        promotion = values.get("promotion")
        return cls(**known(cls, values) | {
            "data": DataSummary.from_dict(values.get("data", {})),
            "models": {name: ModelSummary.from_dict(model) for name, model in values.get("models", {}).items()},
            "baselines": {name: BaselineSummary.from_dict(one) for name, one in values.get("baselines", {}).items()},
            "interest": interest and InterestSummary.from_dict(interest),
            "promotion": promotion and PromotionSummary.from_dict(promotion),
            "table": table and TableSummary.from_dict(table), "change": change and Change.from_dict(change),
        })  # fmt: skip

    @classmethod
    def of_manifest(cls, manifest: Manifest) -> Self:
        """The summary of the batch that published a snapshot; from the manifest's own figures where it has none."""
        if values := manifest.extra.get("summary"):
            return cls.from_dict(values)
        models = {name: ModelSummary(facts.mlflow_run_id) for name, facts in manifest.models.items()}
        return cls(manifest.version, manifest.champion, models=models)
