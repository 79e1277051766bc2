"""Drift of a batch from the published one, with bounds."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recobatch.errors import GateRefused

_ROWS_AT_ONCE = 1 << 22


class DriftOptions(BaseModel):
    """Largest drift of a batch from the published one; null removes a bound."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    ratings_drop: float | None = Field(default=0.5, ge=0, le=1)
    """Largest decrease of the number of ratings, as a share of the published batch's."""
    users_gone: float | None = Field(default=0.5, ge=0, le=1)
    """Largest share of the published users that are missing from the new batch."""
    items_gone: float | None = Field(default=0.5, ge=0, le=1)
    """Largest share of the published items that are missing from the new batch."""
    rating_shift: float | None = Field(default=0.5, ge=0)
    """Largest shift of the distribution of ratings, in standard deviations of the published batch's ratings."""
    error_rise: float | None = Field(default=0.1, ge=0)
    """Largest relative rise of the champion's test MSE over that of the published champion."""
    prediction_shift: float | None = Field(default=0.5, ge=0)
    """Largest shift of the distribution of a model's predictions, in their published standard deviations."""
    overlap: float | None = Field(default=None, ge=0, le=1)
    """Least mean share of the items of a user's published list that the new list has too, among the best 10."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a set of ratings or predictions, in rating units."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: np.ndarray) -> Self:
        """Of an array of any shape, computed in double precision, block by block."""
        flat, mean = values.ravel(), values.mean(dtype=np.float64)
        blocks = (flat[start : start + _ROWS_AT_ONCE] for start in range(0, len(flat), _ROWS_AT_ONCE))
        squares = sum(float(np.square(block - mean).sum()) for block in blocks)
        return cls(float(mean), math.sqrt(squares / len(flat)))

    def distance(self, other: "Spread") -> float:
        """Distance to another spread, in standard deviations of this one.

        The 2-Wasserstein distance of two normal distributions, which covers a shift of the mean as well as a change of
        the deviation. If the deviation is zero, any difference is infinite.
        """
        moved = math.hypot(other.mean - self.mean, other.sd - self.sd)
        if self.sd > 0:
            return moved / self.sd
        return 0.0 if moved == 0 else math.inf


@dataclass(frozen=True)
class BatchFacts:
    """The figures that batches are compared by; stored in the manifest of the snapshot."""

    ratings: int
    ratings_spread: Spread | None
    """None if the batch read no ratings."""
    champion: str
    test_mse: float | None
    """Test error of the champion; None if unknown."""
    predictions: Mapping[str, Spread]
    """Spread of the predictions by model."""

    def after(self, before: Self) -> Self:
        """A copy with the earlier batch's spread of the ratings if this one read none."""
        return replace(self, ratings_spread=self.ratings_spread or before.ratings_spread)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_dict``."""
        spreads = {
            "ratings_spread": values["ratings_spread"] and Spread(**values["ratings_spread"]),
            "predictions": {name: Spread(**spread) for name, spread in values["predictions"].items()},
        }
        return cls(**{**values, **spreads})


@dataclass(frozen=True)
class MissingIds:
    """Shares of the published ids that the new batch lacks."""

    users: float
    """Share of the published users, within [0, 1]."""
    items: float
    """Share of the published items, within [0, 1]."""


def check_drift(
    now: BatchFacts, before: BatchFacts, missing: MissingIds, options: DriftOptions, version: str,
    overlap: float | None = None,
) -> None:  # fmt: skip
    """Refuse a batch that drifted too far.

    Args:
        now: The batch to be published.
        before: The published batch.
        missing: Published ids that the batch lacks.
        options: The bounds.
        version: Version of the published batch, for the message.
        overlap: Mean share of the items that a user's old and new list have in common; None if unknown.

    Raises:
        GateRefused: If a bound is exceeded. The message names every such bound, and how to override it once.
    """
    exceeded = [
        (key, f"{text}, expected at most {getattr(options, key):g}")
        for key, value, text in _measures(now, before, missing)
        if _exceeds(value, options, key)
    ]
    if overlap is not None and options.overlap is not None and not overlap >= options.overlap:
        text = f"the champion's lists share {overlap:.0%} of their items with the published ones"
        exceeded.append(("overlap", f"{text}, expected at least {options.overlap:.0%}"))
    if not exceeded:
        return
    found = "; ".join(f"drift.{key}: {text}" for key, text in exceeded)
    override = " ".join(f"--set drift.{key}=null" for key in dict.fromkeys(key for key, _ in exceeded))
    raise GateRefused(
        f"found a batch that moved too far from version {version}: {found}; nothing was published, version {version} "
        f"stands; check the ratings, or pass {override} once if this is intended"
    )


def _exceeds(value: float, options: DriftOptions, key: str) -> bool:
    bound = getattr(options, key)
    return bound is not None and not value <= bound


def _measures(now: BatchFacts, before: BatchFacts, missing: MissingIds) -> Iterator[tuple[str, float, str]]:
    drop = 1 - now.ratings / before.ratings
    yield "ratings_drop", drop, f"{now.ratings:,} ratings after {before.ratings:,} ({drop:.0%} fewer)"
    yield "users_gone", missing.users, f"{missing.users:.0%} of the published users gone"
    yield "items_gone", missing.items, f"{missing.items:.0%} of the published items gone"
    if before.ratings_spread and now.ratings_spread:
        shift = before.ratings_spread.distance(now.ratings_spread)
        yield "rating_shift", shift, f"ratings {_moved(before.ratings_spread, now.ratings_spread, shift)}"
    if before.test_mse and now.test_mse is not None:
        rise = now.test_mse / before.test_mse - 1
        errors = f"{now.test_mse:.4f} of {now.champion} after {before.test_mse:.4f} of {before.champion}"
        yield "error_rise", rise, f"test MSE {errors} ({rise:+.0%})"
    for name in sorted(now.predictions.keys() & before.predictions.keys()):
        old, new = before.predictions[name], now.predictions[name]
        shift = old.distance(new)
        yield "prediction_shift", shift, f"predictions of {name} {_moved(old, new, shift)}"


def _moved(old: Spread, new: Spread, shift: float) -> str:
    return f"moved from {old.mean:.2f} ± {old.sd:.2f} to {new.mean:.2f} ± {new.sd:.2f} ({shift:.2f} deviations)"
