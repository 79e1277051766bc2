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
from flows.settings.tree import Settings
from flows.tasks.studies import STUDIES, Studies
from recobatch.models import find_model
from recobatch.models.search_space import Value
from recobatch.storage.fingerprints import fingerprint
from recobatch.tracking import TrackedRun
from recobatch.tuning import Budget, SearchResult, Trial, as_toml

TOML = "recobatch.toml"


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
    """Names of the models to tune: those given, else those of the batch.

    Raises:
        BadSettings: If a model is unknown.
    """
    return tuple(dict.fromkeys(find_model(name).name for name in models or settings.models))


@task(name="search", cache_policy=NO_CACHE)
def search_model(services: Services, name: str, studies: Studies, budget: Budget) -> Found:
    """Search for the settings of a model on the training part, and track the search in MLflow.

    Args:
        services: Of the run.
        name: Of the model.
        studies: Its own among others.
        budget: Of this search.
    """
    from recobatch.tuning.search import search  # lazy: imports Optuna

    study, run, runs = studies.by_model[name], studies.run, studies.runs
    with services.stages.timed(f"tune {name}") as progress:
        best = [float("inf")]

        def on_trial(trial: Trial) -> None:
            error = trial.validation_mse or 0.0
            best[0] = min(best[0], error)
            progress.advance(1, note=f"trial {trial.number}: {error:.4f}, best {best[0]:.4f}")
            runs.log_trial(
                run, name=f"{name} · trial {trial.number}", model=name, study=study.folder.name, params=trial.values,
                metrics={"validation_mse": error, "best_epoch": trial.best_epoch or 0, "train_seconds": trial.seconds},
                val_loss=trial.val_loss, seconds=trial.seconds,
            )  # fmt: skip

        result = search(name, studies.inputs, study, find_model(name).space, budget, on_trial=on_trial)
        found = Found(result, study.folder, run)
        _describe(found, studies.folder_of(name))
        runs.flush(run)
    error = result.best.validation_mse
    message = f"validation MSE {error:.4f} after {result.count('finished')} finished trials"
    services.stages.log(f"tune {name}", message, trials=len(result.trials), validation_mse=error or 0.0)
    return found


def write_together(services: Services, found: Sequence[Found], settings: Mapping[str, Value]) -> str | None:
    """Write the settings for a batch of all the models that were tuned, and log them with the search.

    Returns:
        The file: that of the study where there is one model; None if nothing better was found.
    """
    if len(found) == 1 or not settings:
        return found[0].to_dict()["toml"] if len(found) == 1 else None
    studies = [each.result.study for each in found]
    folder = services.root / STUDIES / f"together-{fingerprint(studies)[:8]}"
    folder.mkdir(exist_ok=True)
    head = "Settings with the lowest validation errors of the studies\n" + "\n".join(studies)
    (folder / TOML).write_text(as_toml(settings, comment=head), encoding="utf-8")
    found[0].run.log_file(folder / TOML)
    return str(folder / TOML)


def _describe(found: Found, folder: str) -> None:
    """Write what the search found beside its study, and log it with the search.

    Args:
        found: The search of one model.
        folder: Of the artifacts of the run; it is before the names of the metrics, too.
    """
    from recobatch.report.search_chart import draw_importance, draw_search  # lazy: imports matplotlib

    result, run = found.result, found.run
    errors = [trial.validation_mse for trial in result.trials if trial.validation_mse is not None]
    files = {"trials.csv": _trials_csv(result), "search.svg": draw_search(errors, result.baseline.validation_mse)}
    if result.importance:
        files["importance.svg"] = draw_importance(result.importance)
    if result.settings:
        head = f"Settings of {result.model} with the lowest validation error of the study {result.study}."
        files[TOML] = as_toml(result.settings, comment=head)
    else:
        (found.folder / TOML).unlink(missing_ok=True)
        get_run_logger().warning("tune %s: no trial is better than the settings in force", result.model)
    for file, text in files.items():
        (found.folder / file).write_text(text, encoding="utf-8")
        run.log_file(found.folder / file, folder)
    prefix = f"{folder}/" if folder else ""
    run.log_metrics({f"{prefix}{key}": value for key, value in _metrics(result).items()})


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
