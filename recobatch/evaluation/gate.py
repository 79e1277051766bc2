"""The choice of the champion, and the quality gates before a publish."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from recobatch.errors import GateRefused

Baseline = Literal["global_mean", "bias", "none"]


class GateOptions(BaseModel):
    """The baseline that the champion must beat."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    baseline: Baseline = Field(
        default="global_mean",
        description="Test error that the champion must stay below: the global mean, the regularised user+item mean "
        "(bias), or none",
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


def choose_champion(candidates: Mapping[str, Candidate]) -> str:
    """The candidate with the lowest error: on validation if every candidate has it, else on test.

    NaN counts as infinite; of equal candidates the first is chosen.

    Raises:
        GateRefused: If no candidate has a finite error.
    """
    on_validation = all(candidate.validation_mse is not None for candidate in candidates.values())

    def error(candidate: Candidate) -> float:
        value = candidate.validation_mse if on_validation else candidate.test_mse
        return value if value is not None and value == value else float("inf")

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
            f"than {baseline:.4f} of the baseline {options.baseline}; nothing was published; train longer "
            f"(--set train.epochs=…), try the other --preset, or pass --set gate.baseline=none once"
        )
