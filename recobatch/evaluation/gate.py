"""The choice of the champion, and the quality gates before a publish."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recobatch.errors import GateRefused

Baseline = Literal["global_mean", "bias", "none"]
_NOISE = 2.0
"""Standard errors within which a difference is noise: about one chance in twenty."""


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
class Candidate:
    """Errors of a trained model; mean squared errors in squared rating units."""

    name: str
    test_mse: float
    validation_mse: float | None = None
    """None without a validation part; the champion is then chosen by test error."""
    non_finite: int = 0
    """Number of predictions that are NaN or infinite."""
    epochs: int | None = None
    """Epochs that were trained; None if unknown."""
    best_epoch: int | None = None
    """Epoch whose weights were kept; None if unknown."""
    stopped_early: bool = False
    """Whether training ended before the last epoch of its recipe."""


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
        se = _standard_error(by_user - popularity)
        return cls(k, ndcg, float(popularity.mean()), se if se == se else None)

    @property
    def difference(self) -> float:
        return self.ndcg - self.popularity

    @property
    def is_worse(self) -> bool:
        """Whether the lists are worse by more than the noise of so few users."""
        return self.difference < -_NOISE * (self.se or 0.0)

    def to_dict(self) -> dict[str, float | None]:
        """Plain values, ready for JSON; ``ratio`` is left out where popularity has no hit."""
        ratio = {"ratio": self.ndcg / self.popularity} if self.popularity > 0 else {}
        return {f"ndcg_at_{self.k}": self.difference, "se": self.se, **ratio}


@dataclass(frozen=True)
class Standing:
    """The validation error of a candidate beside the lowest one; squared rating units."""

    name: str
    mse: float
    """Mean squared error on the validation ratings."""
    se: float
    """Standard error of ``mse``; NaN for fewer than two ratings."""
    behind: float
    """Difference to the lowest ``mse``; 0 for the best candidate."""
    behind_se: float
    """Standard error of ``behind``, from the differences rating by rating; 0 for the best candidate."""

    @property
    def is_within_noise(self) -> bool:
        """Whether ``behind`` is at most two standard errors: other ratings could make this candidate the best."""
        return not self.behind > _NOISE * self.behind_se

    def __str__(self) -> str:
        """As in ``0.8312 ± 0.0138 (+0.0023 ± 0.0031, within the noise)``."""
        error = f"{self.mse:.4f} ± {self.se:.4f}"
        if self.behind == 0:
            return error
        noise = ", within the noise" if self.is_within_noise else ""
        return f"{error} (+{self.behind:.4f} ± {self.behind_se:.4f}{noise})"


def compare_candidates(squared_errors: Mapping[str, np.ndarray]) -> dict[str, Standing]:
    """Compare candidates on the same validation ratings.

    Args:
        squared_errors: Candidate → squared error of each rating, shape ``(n,)``, in the same order for all; as
            ``on_validation`` of ``recobatch.training.train`` receives them.

    Returns:
        Candidate → its error, its standard error, and the paired difference from the lowest error.

    Raises:
        ValueError: If there are no ratings, or the candidates have different numbers of them.
    """
    sizes = {name: len(errors) for name, errors in squared_errors.items()}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise ValueError(f"found {sizes} validation errors, expected the same positive number for each candidate")
    best = squared_errors[min(squared_errors, key=lambda name: _or_infinite(float(squared_errors[name].mean())))]
    return {
        name: Standing(
            name, float(errors.mean()), _standard_error(errors), float((errors - best).mean()),
            0.0 if errors is best else _standard_error(errors - best),
        )
        for name, errors in squared_errors.items()
    }  # fmt: skip


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")


def _or_infinite(value: float) -> float:
    return value if value == value else float("inf")


def choose_champion(candidates: Mapping[str, Candidate]) -> str:
    """The candidate with the lowest error: on validation if every candidate has it, else on test.

    NaN counts as infinite; of equal candidates the first is chosen.

    Raises:
        GateRefused: If no candidate has a finite error.
    """
    on_validation = all(candidate.validation_mse is not None for candidate in candidates.values())

    def error(candidate: Candidate) -> float:
        value = candidate.validation_mse if on_validation else candidate.test_mse
        return _or_infinite(float("inf") if value is None else value)

    best = min(candidates.values(), key=error)
    if error(best) == float("inf"):
        raise GateRefused(
            f"found no finite {'validation' if on_validation else 'test'} error in {', '.join(candidates)}, expected "
            f"one; nothing was published; lower train.learning_rate or check the ratings"
        )
    return best.name


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
    if options.baseline == "none":
        return
    baseline = baselines[options.baseline]
    if not champion.test_mse < baseline:
        raise GateRefused(
            f"gate.baseline: found test MSE {champion.test_mse:.4f} of the champion {champion.name}, expected less "
            f"than {baseline:.4f} of the baseline {options.baseline}; nothing was published; {_remedy(champion)}, or "
            f"pass --set gate.baseline=none once to publish it anyway"
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
