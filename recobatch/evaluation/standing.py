"""The champion among the models of a batch, and how certain the choice is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recobatch.errors import GateRefused

NOISE = 2.0
"""Standard errors within which a difference is noise: about one chance in twenty."""


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
        return not self.behind > NOISE * self.behind_se

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
            name, float(errors.mean()), standard_error(errors), float((errors - best).mean()),
            0.0 if errors is best else standard_error(errors - best),
        )
        for name, errors in squared_errors.items()
    }  # fmt: skip


def standard_error(values: np.ndarray) -> float:
    """Standard error of the mean of independent values; NaN for fewer than two."""
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
