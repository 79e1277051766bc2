"""A study on disk: its trials, and Optuna to propose the next one. The only module that imports Optuna.

    <root>/<study>/journal.log    Optuna's own journal: optuna-dashboard and optuna.load_study read it

A line is written and fsynced before its trial counts as finished, so a process that is killed loses only the trials
that were running.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recobatch.errors import BadSettings, RecobatchError
from recobatch.models.search_space import Choices, Range, SearchSpace, Value
from recobatch.storage.durable import explained
from recobatch.storage.folder_lock import try_lock
from recobatch.tuning.budget import Budget
from recobatch.tuning.journal import NoLock, append, clear, drop_torn_line
from recobatch.tuning.result import Trial, TrialState

if TYPE_CHECKING:
    import optuna

_JOURNAL = "journal.log"
_LEAST_TRIALS = 12
"""Finished trials below which an importance says nothing."""
_STATES: dict[str, TrialState] = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}

Report = Callable[[int, float], None]
"""Takes an epoch and its ``val_loss``; raises to end a trial that is worse than others were at that epoch."""
Objective = Callable[["Suggestion", Report], tuple[float, Mapping[str, Any]]]
"""Trains with a suggestion; returns its error and facts to keep, JSON values."""


class Suggestion:
    """The settings of one trial."""

    def __init__(self, trial: "optuna.Trial", space: SearchSpace) -> None:
        self.number: int = trial.number
        self.values: dict[str, Value] = {key: _suggest(trial, key, one) for key, one in space.dimensions.items()}


class Study:
    """One model's search, open in this process alone; see ``open_study``."""

    def __init__(self, folder: Path, study: "optuna.Study", space: SearchSpace) -> None:
        self.folder = folder
        self._study = study
        self._space = space
        if space.first and not study.get_trials(deepcopy=False):
            study.enqueue_trial(dict(space.first))

    @property
    def facts(self) -> dict[str, Any]:
        """What ``note`` kept."""
        return dict(self._study.user_attrs)

    def note(self, name: str, value: object) -> None:
        """Keep a JSON value with the study."""
        self._study.set_user_attr(name, value)

    def optimize(self, objective: Objective, budget: Budget, *, workers: int) -> None:
        """Run trials until the budget is spent.

        Args:
            objective: Called in ``workers`` threads.
            budget: Its trials count those that earlier runs finished or pruned.
            workers: Trials at a time.
        """
        import optuna

        def run(trial: "optuna.Trial") -> float:
            def report(epoch: int, val_loss: float) -> None:
                trial.report(val_loss, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned

            try:
                value, facts = objective(Suggestion(trial, self._space), report)
            except TimeUp as end:
                raise optuna.TrialPruned from end
            trial.set_user_attr("facts", dict(facts))
            return value

        left = None if budget.trials is None else budget.trials - sum(each.state != "failed" for each in self.trials())
        if left is None or left > 0:
            self._study.optimize(
                run, n_trials=left, timeout=budget.seconds, n_jobs=workers, catch=(RecobatchError,)
            )  # fmt: skip

    def trials(self) -> list[Trial]:
        """The trials that ended, in the order in which they began."""
        return [_trial(each) for each in self._study.get_trials(deepcopy=False) if each.state.name in _STATES]

    def importance(self) -> dict[str, float]:
        """Share of each setting in the difference between the better half of the finished trials and all of them.

        PED-ANOVA (Watanabe, Bansal & Hutter, "PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary
        subspaces", 2023): densities of the values, no forest of trees.

        Returns:
            Most important first; empty if fewer than 12 trials finished.
        """
        import optuna

        done = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        if len(done) < _LEAST_TRIALS:
            return {}
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.5)
        found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {key: float(share) for key, share in found.items() if math.isfinite(share)}


class TimeUp(RecobatchError):
    """The budget's time is over in the middle of a trial."""


@contextmanager
def open_study(
    root: Path, name: str, *, space: SearchSpace, shaped_by: str, seed: int, fresh: bool = False
) -> Iterator[Study]:
    """Open a study, which is made if it is missing; trials that a killed process was running count as failed.

    Args:
        root: Folder of all studies.
        name: Of the study, and of its folder.
        space: What it searches.
        shaped_by: Fingerprint of everything that the errors of its trials depend on.
        seed: Of the proposals.
        fresh: Whether to remove the trials that are there.

    Raises:
        BadSettings: If the study is of other ratings or settings, or its journal is unreadable.
        RecobatchError: If another process has it open, or the disk refuses.
    """
    folder = root / name
    with explained("make the folder of the study", folder, outcome="nothing was searched"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = try_lock(folder)
    if lock is None:
        raise RecobatchError(
            f"{folder}: found the study open in another process, expected one search at a time; wait until it ends, or "
            f"pass another --study"
        )
    try:
        if fresh:
            clear(folder)
        yield Study(folder, _load(folder / _JOURNAL, name, space, shaped_by, seed), space)
    finally:
        lock.close()


def _load(journal: Path, name: str, space: SearchSpace, shaped_by: str, seed: int) -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(logging.ERROR)
    drop_torn_line(journal)
    try:
        backend = _journal_backend(journal)
        study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend), study_name=name, direction="minimize", load_if_exists=True,
            sampler=optuna.samplers.TPESampler(
                seed=None if journal.stat().st_size else seed, multivariate=True
            ),
            # Small vectors begin slowly, and a strong penalty is behind for ten epochs before it wins.
            pruner=optuna.pruners.MedianPruner(n_startup_trials=8, n_warmup_steps=12),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise BadSettings(
            f"{journal}: found no readable journal ({error}), expected one as the search wrote it; pass --fresh to "
            f"begin again, or another --study"
        ) from error
    _require_same(study, journal, shaped_by)
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _require_same(study: "optuna.Study", journal: Path, shaped_by: str) -> None:
    if (known := study.user_attrs.get("shaped_by", shaped_by)) != shaped_by:
        raise BadSettings(
            f"--study: found the study {journal.parent.name} of other ratings or settings ({known[:8]}), expected one "
            f"with the same ({shaped_by[:8]}), since errors on other ratings do not compare; pass another name, or "
            f"--fresh to begin it again"
        )
    study.set_user_attr("shaped_by", shaped_by)


def _journal_backend(journal: Path) -> Any:  # noqa: ANN401 - Optuna's
    """Optuna's journal file, written by ``append`` and without a lock of its own."""
    from optuna.storages.journal import JournalFileBackend

    class Backend(JournalFileBackend):
        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            append(journal, logs)

    return Backend(str(journal), lock_obj=NoLock())


def _suggest(trial: "optuna.Trial", key: str, dimension: Range | Choices) -> Value:
    if isinstance(dimension, Choices):
        value: Value = trial.suggest_categorical(key, dimension.values)
        return value
    if dimension.whole:
        return trial.suggest_int(key, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(key, dimension.low, dimension.high, log=dimension.log)


def _trial(found: "optuna.trial.FrozenTrial") -> Trial:
    state, facts = _STATES[found.state.name], found.user_attrs.get("facts", {})
    seconds = found.duration.total_seconds() if found.duration else 0.0
    curve = [found.intermediate_values[step] for step in sorted(found.intermediate_values)]
    return Trial(
        found.number, state, dict(found.params), found.value if state == "finished" else None, facts.get("best_epoch"),
        round(seconds, 3), tuple(curve),
    )  # fmt: skip
