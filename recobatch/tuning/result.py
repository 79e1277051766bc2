"""What a search found."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from recobatch.models import find_model
from recobatch.models.search_space import Value

TrialState = Literal["finished", "pruned", "failed"]


@dataclass(frozen=True)
class Trial:
    """One training with some settings."""

    number: int
    """From 0, in the order in which the trials began; -1 for the settings in force."""
    state: TrialState
    """``pruned`` if it was stopped for its ``val_loss`` or because the time was up, ``failed`` if training diverged."""
    values: Mapping[str, Value]
    """Settings that the search varied, by ``section.key``."""
    validation_mse: float | None
    """Error on the ratings held out from training, squared rating units; None unless it finished."""
    best_epoch: int | None = None
    """Epoch or sweep with that error."""
    seconds: float = 0.0
    val_loss: Sequence[float] = ()
    """By epoch or sweep."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values, without the curve."""
        return {key: value for key, value in asdict(self).items() if key != "val_loss"}


@dataclass(frozen=True)
class SearchResult:
    """The search for one model's settings."""

    model: str
    study: str
    """Name by which the search is resumed."""
    baseline: Trial
    """The settings in force when the search began, trained likewise."""
    trials: tuple[Trial, ...]
    """In the order in which they began, those of earlier runs of the study included."""
    settings: Mapping[str, Value]
    """Settings of the best trial by ``section.key``, as ``recobatch run`` takes them; none unless it is better than the
    baseline."""
    importance: Mapping[str, float] = field(default_factory=dict)
    """Setting → its share in the difference between good and other trials, most important first; none if too few trials
    finished."""
    seconds: float = 0.0
    """Of this run."""

    @property
    def finished(self) -> list[Trial]:
        """The finished trials, the best first."""
        done = [trial for trial in self.trials if trial.validation_mse is not None]
        return sorted(done, key=lambda trial: _error(trial))

    @property
    def best(self) -> Trial:
        """The best of the finished trials and the baseline."""
        return min([self.baseline, *self.finished[:1]], key=_error)

    def count(self, state: TrialState) -> int:
        """Number of trials in a state."""
        return sum(trial.state == state for trial in self.trials)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "study": self.study, "trials": {state: self.count(state) for state in ("finished", "pruned", "failed")},
            "seconds": round(self.seconds, 3), "validation_mse": self.best.validation_mse,
            "baseline_validation_mse": self.baseline.validation_mse, "best": self.best.to_dict(),
            "settings": dict(self.settings), "importance": dict(self.importance),
            "baseline": self.baseline.to_dict(), "best_trials": [trial.to_dict() for trial in self.finished[:10]],
        }  # fmt: skip


def settings_together(results: Sequence[SearchResult]) -> dict[str, Value]:
    """Settings for a batch of all the models that were tuned.

    Keras models read the same ones, as sampled models do: of each kind, those of the model with the lowest error.
    """
    best: dict[bool, SearchResult] = {}
    for result in sorted(results, key=lambda result: _error(result.best)):
        best.setdefault(find_model(result.model).is_keras, result)
    return {key: value for result in best.values() for key, value in result.settings.items()}


def _error(trial: Trial) -> float:
    return math.inf if trial.validation_mse is None else trial.validation_mse
