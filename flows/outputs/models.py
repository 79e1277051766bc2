"""Models as stages pass them: their files, their runs in MLflow, and the few figures that others need."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

from flows.outputs.ratings import Parts, Ratings
from recobatch.evaluation.standing import Candidate, Standing
from recobatch.evaluation.uncertainty import UncertaintyQuality
from recobatch.interest.fit import MEASURED_FILE, InterestTraining
from recobatch.model_folder import CALIBRATION_FILE, INTEREST_FILE, ModelFolder
from recobatch.models import find_model
from recobatch.scoring.list_quality import BatchLists
from recobatch.scoring.ranker import RankBy
from recobatch.storage.workspace import StageOutput
from recobatch.tracking import TrackedRun
from recobatch.training.fit import TrainedOn, TrainingReport

CalibratedOn = Literal["held-out training ratings", "validation part", "test part, crosswise"]
"""Ratings that a calibration was fitted to."""


@dataclass(frozen=True)
class ToScore:
    """A model whose predictions go into the table."""

    name: str
    mlflow_run_id: str
    files: ModelFolder
    test_mse: float | None
    """None where its version in the registry has no such tag."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of its version in the registry, where it comes from there."""
    rank_by: RankBy = "prediction"
    """What its lists are ranked by."""
    trained_on: TrainedOn = "train"
    """Ratings that it knows."""


@dataclass(frozen=True)
class TrainedInterest:
    """The trained model of interest and its run in MLflow."""

    folder: Path
    run: TrackedRun
    training: InterestTraining

    @classmethod
    def of(cls, done: StageOutput, run: TrackedRun) -> Self:
        return cls(done.path, run, InterestTraining.from_json(done.report))

    @property
    def measured(self) -> Path:
        """The model that knows the training part alone."""
        return self.folder / MEASURED_FILE

    @property
    def published(self) -> Path:
        """The model that knows all ratings."""
        return self.folder / INTEREST_FILE


@dataclass(frozen=True)
class CalibratedModel:
    """The calibration of a trained model."""

    path: Path
    """Written by ``Calibration.save``."""
    calibrated_on: CalibratedOn
    quality: UncertaintyQuality
    """On the test part."""

    @classmethod
    def of(cls, done: StageOutput) -> Self:
        report = done.report
        quality = UncertaintyQuality.from_dict(report["quality"])
        return cls(done.path / CALIBRATION_FILE, report["calibrated_on"], quality)


@dataclass(frozen=True)
class TrainedModel:
    """A trained model and its run in MLflow."""

    name: str
    files: ModelFolder
    run: TrackedRun
    report: TrainingReport
    calibrated: CalibratedModel | None = None
    """None in a batch that is only finalized."""
    compared: Path | None = None
    """Factors of the training that held out a part of the training ratings; None where there was none."""
    refit_failed: str | None = None
    """Why the champion does not know all ratings, one line; None where it does or was not meant to."""

    @classmethod
    def of(cls, name: str, done: StageOutput, run: TrackedRun) -> Self:
        return cls(name, ModelFolder(done.path), run, TrainingReport.from_json(done.report))

    def candidate(self) -> Candidate:
        report, history = self.report, self.report.history
        epochs = len(history.loss) if find_model(self.name).is_keras else None  # sweeps are no epochs of train.epochs
        return Candidate(
            self.name, report.test.mse, report.validation_mse, epochs=epochs, best_epoch=history.best_epoch,
            stopped_early=history.stopped_early,
        )  # fmt: skip

    def to_score(self, rank_by: RankBy) -> ToScore:
        report = self.report
        return ToScore(
            self.name, self.run.run_id, self.files, report.test.mse, rank_by=rank_by, trained_on=report.trained_on
        )


@dataclass(frozen=True)
class LeftOut:
    """A model of the batch that is not published."""

    name: str
    reason: str
    """One line."""


@dataclass(frozen=True)
class TrainedBatch:
    """The models of a batch, and what they were trained on."""

    ratings: Ratings
    parts: Parts
    models: Mapping[str, TrainedModel]
    """By name, in the order of training; without those that diverged."""
    champion: str
    interest: TrainedInterest | None = None
    lists: BatchLists = field(default_factory=BatchLists)
    """Measured on the test part; empty in a batch that is only finalized."""
    standings: Mapping[str, Standing] = field(default_factory=dict)
    """Model → its error on the ratings that chose the champion; empty where they are not at hand."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Model that is not published → why, one line: it diverged, or it failed the gate and is not the champion."""

    @property
    def best(self) -> TrainedModel:
        """The champion."""
        return self.models[self.champion]

    def to_score(self, which: Literal["all", "champion"]) -> dict[str, ToScore]:
        """The models whose predictions go into the table, by name."""
        every = [model for name, model in self.models.items() if name not in self.left_out]
        chosen = every if which == "all" else [self.best]
        return {model.name: model.to_score(self.lists.rank_by[model.name]) for model in chosen}
