"""Search for the settings of one model: one task a model, and a run in MLflow for each of its trials."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Services
from flows.outputs import Parts, Ratings
from flows.settings.tree import Settings
from recobatch.errors import BadSettings
from recobatch.models import find_model
from recobatch.models.search_space import SearchSpace
from recobatch.storage.fingerprints import fingerprint
from recobatch.tracking import SearchRuns, TrackedRun
from recobatch.tuning import Budget, SearchInputs, SearchResult, Trial, as_toml

STUDIES = Path(".recobatch", "tune")
"""Folder of all studies, relative to the project root."""
TOML = "recobatch.toml"

_SHARED = frozenset({"model.n_factors"})
"""Settings that Keras models and sampled ones read alike, and that suit one kind only."""
_RUN = "mlflow_journal"


@dataclass(frozen=True)
class Found:
    """The outcome of one model's search."""

    result: SearchResult
    folder: Path
    """With the study, its pictures and ``recobatch.toml``."""
    run: TrackedRun

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        about = {"mlflow_run_id": self.run.run_id, "mlflow_url": self.run.url}
        toml = str(self.folder / TOML) if self.result.settings else None
        return {**self.result.to_dict(), "toml": toml, "folder": str(self.folder), **about}


def tuned_models(settings: Settings, models: Sequence[str]) -> tuple[str, ...]:
    """Names of the models to tune: those given, else those of the batch that have settings of their own.

    Raises:
        BadSettings: If a model is unknown or has nothing to search for.
    """
    for name in models:
        _require_some(space_of(name, settings), name)
    chosen = models or [name for name in settings.models if space_of(name, settings).dimensions]
    return tuple(dict.fromkeys(find_model(name).name for name in chosen))


def space_of(name: str, settings: Settings) -> SearchSpace:
    """What may be tried for a model, beside the other models of the batch."""
    kinds = {find_model(model).is_keras for model in settings.models}
    shares = len(kinds | {find_model(name).is_keras}) > 1
    return find_model(name).space.without(_SHARED if shares else frozenset())


def _require_some(space: SearchSpace, name: str) -> None:
    if not space.dimensions:
        raise BadSettings(
            f"tune: found nothing to search for {name} in a batch with models of another kind, which read "
            f"model.n_factors too, expected a batch of its own; pass --set models={name}"
        )


@task(name="search", cache_policy=NO_CACHE)
def search_model(
    services: Services, name: str, ratings: Ratings, parts: Parts, budget: Budget, study_name: str | None
) -> Found:
    """Search for the settings of a model on the training part, and track the search in MLflow.

    Args:
        services: Of the run.
        name: Of the model.
        ratings: All ratings; their sizes and side tables are used.
        parts: Their split, of which the training part is read.
        budget: Of this search.
        study_name: Name by which it is resumed; by default one for the model, the ratings and the settings.
    """
    from recobatch.tuning.search import search  # lazy, as the next one: imports Optuna
    from recobatch.tuning.study import open_study

    settings, space = services.settings, space_of(name, services.settings)
    inputs = _inputs(settings, ratings, parts)
    shaped_by = _shaped_by(settings, name, space, inputs)
    study_name = study_name or f"{name}-{shaped_by[:8]}"
    root = services.root / STUDIES
    runs = services.tracker.searches()
    with (
        open_study(
            root, study_name, space=space, shaped_by=shaped_by, seed=settings.seed, fresh=services.fresh
        ) as study,
        services.stages.timed(f"tune {name}") as progress,
    ):
        run = _parent(services, runs, study.facts.get(_RUN), name, study_name, ratings)
        study.note(_RUN, run.journal)
        best = [float("inf")]

        def on_trial(trial: Trial) -> None:
            error = trial.validation_mse or 0.0
            best[0] = min(best[0], error)
            progress.advance(1, note=f"trial {trial.number}: {error:.4f}, best {best[0]:.4f}")
            runs.log_trial(
                run, name=f"{name} · trial {trial.number}", model=name, study=study_name, params=trial.values,
                metrics={"validation_mse": error, "best_epoch": trial.best_epoch or 0, "train_seconds": trial.seconds},
                val_loss=trial.val_loss, seconds=trial.seconds,
            )  # fmt: skip

        result = search(name, inputs, study, space, budget, on_trial=on_trial)
        found = Found(result, study.folder, run)
        _describe(found, services, name)
        runs.flush(run)
    error = result.best.validation_mse
    message = f"validation MSE {error:.4f} after {result.count('finished')} finished trials"
    services.stages.log(f"tune {name}", message, trials=len(result.trials), validation_mse=error or 0.0)
    return found


def _inputs(settings: Settings, ratings: Ratings, parts: Parts) -> SearchInputs:
    fraction = settings.champion.validation_fraction or SearchInputs.fraction
    return SearchInputs(
        parts.load_train(), ratings.encoded, ratings.range_of(settings.ingest), settings.model, settings.train,
        settings.seed, fraction, ratings.side.load("users"), ratings.side.load("items"),
    )  # fmt: skip


def _shaped_by(settings: Settings, name: str, space: SearchSpace, inputs: SearchInputs) -> str:
    tree = settings.model_dump(mode="json", include={"model", "train", "seed"})
    return fingerprint(
        {
            "train": inputs.train.fingerprint,
            "fraction": inputs.fraction,
            "model": name,
            "settings": tree,
            "space": repr(space),
        }
    )


def _parent(
    services: Services, runs: SearchRuns, journal: str | None, name: str, study: str, ratings: Ratings
) -> TrackedRun:
    """The run of the search: that of the study where it can be resumed, else a new one."""
    run = None if journal is None else services.tracker.resume_run(journal, model_name=name, model=None)
    if run is None:
        tree = services.settings.model_dump(mode="json", include={"seed", "split", "ingest"})
        run = runs.start(model=name, study=study, params={"model_name": name, **tree}, dataset=ratings.info())
    services.runs.add(run)
    return run


def _describe(found: Found, services: Services, name: str) -> None:
    """Write what the search found beside its study, and log it with the search."""
    from recobatch.report.search_chart import draw_importance, draw_search  # lazy: imports matplotlib

    result, run = found.result, found.run
    errors = [trial.validation_mse for trial in result.trials if trial.validation_mse is not None]
    files = {"trials.csv": _trials_csv(result), "search.svg": draw_search(errors, result.baseline.validation_mse)}
    if result.importance:
        files["importance.svg"] = draw_importance(result.importance)
    if result.settings:
        head = f"Settings of {name} with the lowest validation error of the study {result.study}."
        files[TOML] = as_toml(result.settings, comment=head)
    else:
        (found.folder / TOML).unlink(missing_ok=True)
        get_run_logger().warning("tune %s: no trial is better than the settings in force", name)
    for file, text in files.items():
        (found.folder / file).write_text(text, encoding="utf-8")
        run.log_file(found.folder / file)
    run.log_metrics(_metrics(result))


def _metrics(result: SearchResult) -> Mapping[str, float]:
    errors = {"validation_mse": result.best.validation_mse, "baseline_validation_mse": result.baseline.validation_mse}
    counts = {f"trials_{state}": result.count(state) for state in ("finished", "pruned", "failed")}
    return {**{key: value for key, value in errors.items() if value is not None}, **counts}


def _trials_csv(result: SearchResult) -> str:
    file = io.StringIO()
    keys = sorted({key for trial in result.trials for key in trial.values})
    writer = csv.writer(file)
    writer.writerow(["trial", "state", "validation_mse", "best_epoch", "seconds", *keys])
    for trial in (result.baseline, *result.trials):
        number = "in force" if trial.number < 0 else trial.number
        figures = (number, trial.state, trial.validation_mse, trial.best_epoch, trial.seconds)
        writer.writerow([*figures, *(trial.values.get(key) for key in keys)])
    return file.getvalue()
