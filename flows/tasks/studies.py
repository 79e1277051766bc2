"""The studies of a search, one for each model, and the run in MLflow that the trials of all of them are below."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.job import Services
from flows.outputs import Parts, Ratings
from flows.settings.tree import Settings
from flows.tasks.fingerprints import shaping_settings
from recobatch.models import find_model
from recobatch.storage.fingerprints import fingerprint
from recobatch.tracking import SearchRuns, TrackedRun
from recobatch.tuning import SearchInputs

if TYPE_CHECKING:
    from recobatch.tuning.study import Study

STUDIES = Path(".recobatch", "tune")
"""Folder of all studies, relative to the project root."""
_RUN = "mlflow_journal"
_READ = ("model", "train", "seed")
"""Sections of the settings that the errors of trials depend on, as far as the model reads them."""


@dataclass(frozen=True)
class Studies:
    """What the searches of all models share."""

    inputs: SearchInputs
    by_model: "Mapping[str, Study]"
    """Open until the search ends."""
    runs: SearchRuns
    run: TrackedRun

    def folder_of(self, model: str) -> str:
        """Folder of a model's artifacts in the run: the run's own where there is one model."""
        return model if len(self.by_model) > 1 else ""


@contextmanager
def open_studies(
    services: Services, models: tuple[str, ...], ratings: Ratings, parts: Parts, name: str | None
) -> Iterator[Studies]:
    """Open the studies of models, and begin or resume the run in MLflow.

    Args:
        services: Of the run.
        models: Names of the models.
        ratings: All ratings; their sizes and side tables are used.
        parts: Their split, of which the training part is read.
        name: Of the study of a single model; by default one for the model, the ratings and the settings.

    Raises:
        BadSettings: If a study is of other ratings or settings.
        RecobatchError: If another process has a study open.
    """
    from recobatch.tuning.study import open_study  # lazy: imports Optuna

    inputs = _inputs(services.settings, ratings, parts)
    with ExitStack() as stack:
        studies = {}
        for model in models:
            shaped_by = _shaped_by(services.settings, model, inputs)
            studies[model] = stack.enter_context(
                open_study(
                    services.root / STUDIES, name or f"{model}-{shaped_by[:8]}", space=find_model(model).space,
                    shaped_by=shaped_by, seed=services.settings.seed, fresh=services.fresh,
                )
            )  # fmt: skip
        runs = services.tracker.searches()
        yield Studies(inputs, studies, runs, _run(services, runs, studies, ratings))


def _inputs(settings: Settings, ratings: Ratings, parts: Parts) -> SearchInputs:
    fraction = settings.champion.validation_fraction or SearchInputs.fraction
    return SearchInputs(
        parts.load_train(), ratings.encoded, ratings.range_of(settings.ingest), settings.model, settings.train,
        settings.seed, fraction, ratings.side.load("users"), ratings.side.load("items"),
    )  # fmt: skip


def _shaped_by(settings: Settings, model: str, inputs: SearchInputs) -> str:
    shaping = shaping_settings(settings, model)
    return fingerprint({
        "train": inputs.train.fingerprint, "fraction": inputs.fraction, "model": model,
        "settings": {key: shaping[key] for key in _READ if key in shaping}, "space": repr(find_model(model).space),
    })  # fmt: skip


def _run(services: Services, runs: SearchRuns, studies: "Mapping[str, Study]", ratings: Ratings) -> TrackedRun:
    """The run of the search: that of an earlier call where it was of the same studies, else a new one."""
    names = {model: study.folder.name for model, study in studies.items()}
    known = {str(study.facts.get(_RUN, "")) for study in studies.values()}
    run = None
    if len(known) == 1 and (journal := known.pop()):
        run = services.tracker.resume_run(journal, model_name=", ".join(names), model=None)
    if run is None:
        tree = services.settings.model_dump(mode="json", include={"seed", "split", "ingest"})
        run = runs.start(names, params={"model_name": ", ".join(names), **tree}, dataset=ratings.info())
    services.runs.add(run)
    for study in studies.values():
        study.note(_RUN, run.journal)
    return run
