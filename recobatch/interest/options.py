"""Settings of the interest model, and what its training reports. Imports no NumPy."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field


class InterestOptions(BaseModel):
    """Methods, sizes and the choice of hyperparameters of the interest model."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    method: Literal["best", "ease", "ials", "none"] = "best"
    """``best`` trains EASE and implicit ALS and takes whichever, or the sum of both, ranks held-out ratings best.
    ``none`` trains no interest model: lists are then ranked by prediction."""
    ease_rank: int | None = Field(None, ge=1, le=4096)
    """Singular vectors that EASE keeps. None takes 256, and with more than 500,000 ratings 128, where the whole model
    is brought to 96 columns, which makes lists cheaper and slightly worse."""
    sweeps: int = Field(6, ge=1, le=100)
    """Sweeps of implicit ALS over users and items."""
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    """Share of each user's training ratings that is held out, at random, to choose hyperparameters."""
    choosing_users: int = Field(8_000, ge=10)
    """Largest number of users whose ratings are used to choose hyperparameters; the final training uses all."""


@dataclass(frozen=True)
class Trial:
    """A candidate and what it reached on the held-out ratings."""

    name: str
    """Method and hyperparameters."""
    ndcg: float
    """NDCG at ``evaluation.k`` of lists ranked by interest alone, mean over the folds; an estimate of it where the
    first fold was enough to reject the candidate."""


@dataclass(frozen=True)
class InterestReport:
    """How an interest model was chosen."""

    chosen: str
    """Method and hyperparameters."""
    trials: tuple[Trial, ...]
    """All candidates in the order of trial; empty if there were no ratings to hold out."""
    rank_by: Literal["prediction", "interest", "product"]
    """The way to rank with the highest figure in ``rankings``."""
    rankings: dict[str, float]
    """NDCG on the held-out ratings of lists ranked by prediction, interest, product and popularity."""
    folds: int
    """Number of times that ratings were held out."""
    seconds: float
    """Choosing and final training."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_dict``."""
        return cls(**{**values, "trials": tuple(Trial(**trial) for trial in values["trials"])})
