"""The quality gates before a publish."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recobatch.errors import GateRefused
from recobatch.evaluation.standing import NOISE, Candidate, standard_error

Baseline = Literal["global_mean", "bias", "none"]


class GateOptions(BaseModel):
    """The baselines that a batch must beat."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    baseline: Baseline = Field(
        default="global_mean",
        description="Test error that the champion must stay below: the global mean, the regularised user+item mean "
        "(bias), or none",
    )
    ranking: Literal["popularity", "warn", "none"] = Field(
        default="popularity",
        description="What every published list must not fall below in NDCG on the test part: a list by ``popularity``; "
        "``warn`` publishes with a warning, ``none`` checks nothing",
    )


@dataclass(frozen=True)
class Margin:
    """How far the lists of a model are above those by popularity, in NDCG on the test part."""

    k: int
    """Length of the lists."""
    ndcg: float
    """Of the model."""
    popularity: float
    """NDCG of the lists by popularity."""
    se: float | None
    """Standard error of the difference, from the differences user by user; None for a single user."""

    @classmethod
    def of(cls, ndcg: float, by_user: np.ndarray, popularity: np.ndarray, k: int) -> "Margin":
        """From the NDCG of each measured user, float64, shape ``(n,)``: of the model, and by popularity."""
        se = standard_error(by_user - popularity)
        return cls(k, ndcg, float(popularity.mean()), se if se == se else None)

    @property
    def difference(self) -> float:
        return self.ndcg - self.popularity

    @property
    def is_worse(self) -> bool:
        """Whether the lists are worse by more than the noise of so few users."""
        return self.difference < -NOISE * (self.se or 0.0)

    def to_dict(self) -> dict[str, float | None]:
        """Plain values, ready for JSON; ``ratio`` is left out where popularity has no hit."""
        ratio = {"ratio": self.ndcg / self.popularity} if self.popularity > 0 else {}
        return {f"ndcg_at_{self.k}": self.difference, "se": self.se, **ratio}


def check_finite(non_finite: Mapping[str, int]) -> None:
    """Refuse predictions that are not finite.

    Args:
        non_finite: Model name → number of NaN or infinite predictions.

    Raises:
        GateRefused: If there is one.
    """
    for name, count in non_finite.items():
        if count:
            raise GateRefused(
                f"gate.finite: found {count:,} predictions of {name} that are not finite, expected none; nothing was "
                f"published; lower train.learning_rate or leave it out with --set models={_others(name, non_finite)}"
            )


def _others(name: str, names: Mapping[str, int]) -> str:
    return ",".join(other for other in names if other != name) or "…"


def check_baseline(champion: Candidate, baselines: Mapping[str, float], options: GateOptions) -> None:
    """Refuse a champion whose test error is not below that of the baseline.

    Args:
        champion: The champion.
        baselines: Baseline name → test MSE.
        options: Name of the baseline.

    Raises:
        GateRefused: If the champion's test MSE is not below the baseline's.
    """
    if reason := baseline_failure(champion, baselines, options, noun="the champion "):
        raise GateRefused(
            f"{reason}; nothing was published; {_remedy(champion)}, or pass --set gate.baseline=none once to publish "
            f"it anyway"
        )


def baseline_failure(model: Candidate, baselines: Mapping[str, float], options: GateOptions, *, noun: str = "") -> str:
    """Why a model must not be published: one line, empty if its test error is below that of the baseline.

    Args:
        model: The model.
        baselines: Baseline name → test MSE.
        options: Name of the baseline.
        noun: Before the model's name.
    """
    if options.baseline == "none" or model.test_mse < (baseline := baselines[options.baseline]):
        return ""
    return (
        f"gate.baseline: found test MSE {model.test_mse:.4f} of {noun}{model.name}, expected less than "
        f"{baseline:.4f} of the baseline {options.baseline}"
    )


def _remedy(champion: Candidate) -> str:
    """What ended the training, and which setting changes that."""
    if champion.epochs is None:
        return "check the ratings, try another --preset"
    if champion.stopped_early:
        kept = "" if champion.best_epoch is None else f" and kept epoch {champion.best_epoch}"
        return (
            f"early stopping (train.patience) ended training after {champion.epochs} epochs{kept}: pass "
            f"--set train.patience=null to train all epochs, or give it more ratings to validate on "
            f"(--set train.validation_fraction=…)"
        )
    return (
        f"training ran all {champion.epochs} epochs of train.epochs: pass --set train.epochs={2 * champion.epochs}, or "
        f"try another --preset"
    )


def check_ranking(margins: Mapping[str, Margin], rank_by: Mapping[str, str], options: GateOptions) -> str:
    """Refuse lists that are worse than those by popularity.

    A difference within two standard errors is noise, and is let through.

    Args:
        margins: Model to be published → how far its lists are above popularity.
        rank_by: Model → what its lists are ranked by.
        options: Whether to check, to warn or to refuse.

    Returns:
        The warning with ``warn``, one line; empty if there is nothing to warn of.

    Raises:
        GateRefused: With ``popularity``, if the lists of a model are worse.
    """
    worse = [name for name, margin in margins.items() if margin.is_worse]
    if options.ranking == "none" or not worse:
        return ""
    name = min(worse, key=lambda each: margins[each].difference)
    margin, way = margins[name], rank_by[name]
    found = (
        f"gate.ranking: found lists of {name} by {way} with NDCG@{margin.k} {margin.ndcg:.4f} on the test part, "
        f"expected no less than the {margin.popularity:.4f} of lists by popularity"
    )
    if options.ranking == "warn":
        return f"{found}; published all the same, since gate.ranking is warn"
    others = "leave top.rank_by at best" if way == "prediction" else "pass another --set top.rank_by=…"
    raise GateRefused(
        f"{found}; nothing was published; {others}, or pass --set gate.ranking=none once to publish them anyway"
    )
