"""The search: the settings in force first, then Optuna's proposals, several at a time."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from recobatch.errors import BadInput, RecobatchError
from recobatch.models import find_model
from recobatch.models.native_log import import_tensorflow
from recobatch.models.search_space import SearchSpace, Value
from recobatch.tuning.budget import Budget
from recobatch.tuning.result import SearchResult, Trial
from recobatch.tuning.study import Report, Study, Suggestion, TimeUp
from recobatch.tuning.training import SearchInputs, in_force, train_once

_BASELINE = "baseline"

OnTrial = Callable[[Trial], None]
"""Called in the thread of a trial that finished, before the study counts it."""


def search(
    model: str, inputs: SearchInputs, study: Study, space: SearchSpace, budget: Budget, *,
    on_trial: OnTrial | None = None, workers: int | None = None,
) -> SearchResult:  # fmt: skip
    """Search until the budget is spent; trials that the study holds already count.

    Args:
        model: Name of the model.
        inputs: Ratings, and the settings in force.
        study: Open for ``space``.
        space: What may be tried.
        budget: Of this run.
        on_trial: Called for each finished trial.
        workers: Trials at a time; by default one for each core, and one for a model that uses all cores itself.

    Raises:
        BadSettings: If there are too few ratings, or the model cannot be trained whatever its settings.
        RecobatchError: If neither the settings in force nor any trial could be trained.
    """
    started, parts = time.perf_counter(), inputs.split()
    if find_model(model).is_keras:
        import_tensorflow()  # not by two trials at once
    baseline = _baseline(model, inputs, study)

    def objective(suggestion: Suggestion, report: Report) -> tuple[float, Mapping[str, Any]]:
        curve: list[float] = []

        def on_validation(epoch: int, val_loss: float) -> None:
            curve.append(val_loss)
            if budget.seconds is not None and time.perf_counter() - started > budget.seconds:
                raise TimeUp("the time of the search is over")
            report(epoch, val_loss)

        outcome = train_once(model, inputs, parts, {**space.fixed, **space.trial, **suggestion.values}, on_validation)
        trial = Trial(
            suggestion.number, "finished", suggestion.values, outcome.validation_mse, outcome.best_epoch,
            round(outcome.seconds, 3), tuple(curve),
        )  # fmt: skip
        if on_trial is not None:
            on_trial(trial)
        return outcome.validation_mse, {"best_epoch": outcome.best_epoch}

    rest = budget if budget.seconds is None else Budget(seconds=max(0.1, budget.seconds - _seconds(started)))
    study.optimize(objective, rest, workers=workers or _workers(model))
    found = SearchResult(model, study.folder.name, baseline, tuple(study.trials()), {}, seconds=_seconds(started))
    if found.best.validation_mse is None:
        raise RecobatchError(
            f"tune {model}: found {len(found.trials)} trials that all failed, expected one that could be trained; give "
            f"more ratings, or another model"
        )
    return SearchResult(
        model, found.study, baseline, found.trials, settings_of(found.best, space), study.importance(), found.seconds
    )


def settings_of(trial: Trial, space: SearchSpace) -> dict[str, Value]:
    """The settings of a trial as ``recobatch run`` takes them; none for the settings in force."""
    if trial.number < 0:
        return {}
    settings = {**space.fixed, **{key: _short(value) for key, value in trial.values.items()}}
    if space.counts_epochs and trial.best_epoch is not None:
        # The number of epochs is known now, so nothing has to be held out to find it again.
        settings |= {
            "train.epochs": trial.best_epoch, "train.patience": "null", "train.min_epochs": 1,
            "train.validation_fraction": 0.0, "train.refit": False,
        }  # fmt: skip
    return settings


def _short(value: Value) -> Value:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _baseline(model: str, inputs: SearchInputs, study: Study) -> Trial:
    """The settings in force, trained once a study."""
    if (known := study.facts.get(_BASELINE)) is not None:
        return Trial(**{**known, "val_loss": ()})
    try:
        outcome = train_once(model, in_force(inputs), inputs.split(), _shorter(model))
        trial = Trial(-1, "finished", {}, outcome.validation_mse, outcome.best_epoch, seconds=round(outcome.seconds, 3))
    except BadInput:
        raise
    except RecobatchError:  # settings that diverge are a good reason to search
        trial = Trial(-1, "failed", {}, None)
    study.note(_BASELINE, asdict(trial))
    return trial


def _shorter(model: str) -> dict[str, Value]:
    """A sampled model is compared after as many sweeps as its trials have."""
    spec = find_model(model)
    return {} if spec.is_keras else dict(spec.space.trial)


def _workers(model: str) -> int:
    return len(os.sched_getaffinity(0)) if find_model(model).is_keras else 1


def _seconds(started: float) -> float:
    return time.perf_counter() - started
