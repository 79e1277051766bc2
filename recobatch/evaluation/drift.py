"""How far a batch has moved from the one that is published, and whether that is too far."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from recobatch.errors import GateRefused


class DriftOptions(BaseModel):
    """How far a batch may move from the published one; null lifts a bound."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    ratings_drop: float | None = Field(default=0.5, ge=0, le=1)
    """Largest part of the ratings that may be gone since the published batch."""
    users_gone: float | None = Field(default=0.5, ge=0, le=1)
    """Largest part of the published users that may be missing now."""
    items_gone: float | None = Field(default=0.5, ge=0, le=1)
    """Largest part of the published items that may be missing now."""
    rating_shift: float | None = Field(default=0.5, ge=0)
    """Farthest that the distribution of ratings may move, in standard deviations of the published batch's ratings."""
    error_rise: float | None = Field(default=0.1, ge=0)
    """Largest rise of the champion's test MSE over that of the published champion, as a part of it."""
    prediction_shift: float | None = Field(default=0.5, ge=0)
    """Farthest that the distribution of a model's predictions may move, in their published standard deviations."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a set of ratings or predictions, in rating units."""

    mean: float
    sd: float

    def distance(self, other: "Spread") -> float:
        """How far another spread lies from this one, in this one's standard deviations.

        The 2-Wasserstein distance of two normal distributions: it sees a mean that moves as well as a spread that
        collapses. Without a spread, any move is infinitely far.
        """
        moved = math.hypot(other.mean - self.mean, other.sd - self.sd)
        if self.sd > 0:
            return moved / self.sd
        return 0.0 if moved == 0 else math.inf


@dataclass(frozen=True)
class BatchFacts:
    """What a batch is compared by; kept in the manifest of its snapshot."""

    ratings: int
    ratings_spread: Spread | None
    """None where only factors were at hand."""
    champion: str
    test_mse: float | None
    """Of the champion; None where it is not known."""
    predictions: Mapping[str, Spread]
    """By model."""

    def after(self, before: Self) -> Self:
        """With the earlier batch's spread of the ratings where this one read none, for the next one to be held to."""
        return replace(self, ratings_spread=self.ratings_spread or before.ratings_spread)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild what ``to_dict`` took apart."""
        spreads = {
            "ratings_spread": values["ratings_spread"] and Spread(**values["ratings_spread"]),
            "predictions": {name: Spread(**spread) for name, spread in values["predictions"].items()},
        }
        return cls(**{**values, **spreads})


@dataclass(frozen=True)
class MissingIds:
    """Ids of the published table that the new batch does not know."""

    users: float
    """Part of the published users, within [0, 1]."""
    items: float
    """Part of the published items, within [0, 1]."""


def check_drift(now: BatchFacts, before: BatchFacts, gone: MissingIds, options: DriftOptions, version: str) -> None:
    """Refuse a batch that moved too far.

    Args:
        now: The batch that wants to be published.
        before: The published batch.
        gone: Who vanished between them.
        options: The bounds.
        version: Of the published batch, for the message.

    Raises:
        GateRefused: If a bound is passed; the message names every one that is, and how to override it once.
    """
    tripped = [(key, told) for key, value, told in _measures(now, before, gone) if _beyond(value, options, key)]
    if not tripped:
        return
    told = "; ".join(f"drift.{key}: {text}, expected at most {getattr(options, key):g}" for key, text in tripped)
    override = " ".join(f"--set drift.{key}=null" for key, _ in tripped)
    raise GateRefused(
        f"found a batch that moved too far from version {version}: {told}; nothing was published, version {version} "
        f"stands; look at the ratings, or pass {override} once if it is meant"
    )


def _beyond(value: float, options: DriftOptions, key: str) -> bool:
    bound = getattr(options, key)
    return bound is not None and not value <= bound


def _measures(now: BatchFacts, before: BatchFacts, gone: MissingIds) -> Iterator[tuple[str, float, str]]:
    drop = 1 - now.ratings / before.ratings
    yield "ratings_drop", drop, f"found {now.ratings:,} ratings after {before.ratings:,} ({drop:.0%} fewer)"
    yield "users_gone", gone.users, f"found {gone.users:.0%} of the published users gone"
    yield "items_gone", gone.items, f"found {gone.items:.0%} of the published items gone"
    if before.ratings_spread and now.ratings_spread:
        shift = before.ratings_spread.distance(now.ratings_spread)
        yield "rating_shift", shift, f"found ratings {_moved(before.ratings_spread, now.ratings_spread, shift)}"
    if before.test_mse and now.test_mse is not None:
        rise = now.test_mse / before.test_mse - 1
        told = f"{now.test_mse:.4f} of {now.champion} after {before.test_mse:.4f} of {before.champion}"
        yield "error_rise", rise, f"found test MSE {told} ({rise:+.0%})"
    for name in sorted(now.predictions.keys() & before.predictions.keys()):
        old, new = before.predictions[name], now.predictions[name]
        shift = old.distance(new)
        yield "prediction_shift", shift, f"found predictions of {name} {_moved(old, new, shift)}"


def _moved(old: Spread, new: Spread, shift: float) -> str:
    return f"moved from {old.mean:.2f} ± {old.sd:.2f} to {new.mean:.2f} ± {new.sd:.2f} ({shift:.2f} deviations)"
