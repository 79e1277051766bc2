"""What stages pass to each other: folders on disk, and the few figures that others need."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import pyarrow as pa

from recobatch.addresses import holds_secret, without_secrets
from recobatch.encode import Encoded
from recobatch.evaluation.gate import Candidate, Standing
from recobatch.evaluation.split_report import SplitReport
from recobatch.evaluation.uncertainty import UncertaintyQuality
from recobatch.features import Features
from recobatch.ingest import IngestOptions, IngestReport
from recobatch.interactions import EncodedInteractions, Split
from recobatch.interest.fit import MEASURED_FILE, InterestTraining
from recobatch.model_folder import CALIBRATION_FILE, INTEREST_FILE, ModelFolder
from recobatch.models import find_model
from recobatch.scoring.list_quality import BatchLists
from recobatch.scoring.ranker import RankBy
from recobatch.sources.datasets import Source, read_titles
from recobatch.storage.workspace import StageOutput
from recobatch.tracking import DatasetInfo, TrackedRun
from recobatch.training.fit import TrainedOn, TrainingReport
from recobatch.vocabulary import Vocabulary

CalibratedOn = Literal["held-out training ratings", "validation part", "test part, crosswise"]
"""Ratings that a calibration was fitted to."""


@dataclass(frozen=True)
class SideTables:
    """Features of users and items."""

    folder: Path | None = None
    key: str = ""
    """Fingerprint of everything that shaped them."""
    reports: Mapping[str, Any] = field(default_factory=dict)
    """``users`` and ``items`` → what was read from the table, or why it is not used under ``left_out``."""

    def load(self, side: Literal["users", "items"]) -> Features | None:
        """The features of one side; None where there are none."""
        path = None if self.folder is None else self.folder / f"{side}.npz"
        return None if path is None or not path.exists() else Features.load(path)


@dataclass(frozen=True)
class Ratings:
    """Clean, encoded ratings."""

    source: Source
    report: IngestReport
    encoded: Encoded
    key: str
    """Fingerprint of everything that shaped them."""
    side: SideTables = SideTables()
    """Tables of their users and items."""

    @property
    def n_users(self) -> int:
        return self.encoded.n_users

    @property
    def n_items(self) -> int:
        return self.encoded.n_items

    @property
    def n_pairs(self) -> int:
        return self.n_users * self.n_items

    @property
    def first_user(self) -> int | str:
        """An id to try queries with."""
        user: int | str = Vocabulary.load(self.encoded.users_path).ids[0].as_py()
        return user

    def interactions(self) -> EncodedInteractions:
        return EncodedInteractions.load(self.encoded.interactions_path)

    def titles(self) -> pa.Table | None:
        """Of the items, where the source has them."""
        return read_titles(self.source.titles) if self.source.titles else None

    def info(self) -> DatasetInfo:
        """For MLflow's column of datasets."""
        return DatasetInfo(
            name=self.source.name, source=without_secrets(self.source.uri), fingerprint=self.report.fingerprint,
            n_ratings=self.report.ratings, n_users=self.n_users, n_items=self.n_items,
        )  # fmt: skip

    def range_of(self, options: IngestOptions) -> tuple[float, float]:
        """Lowest and highest possible rating: as the settings say, else as found."""
        return options.rating_range or (self.report.rating_min, self.report.rating_max)

    def facts(self) -> dict[str, int]:
        """Counts by their names in MLflow."""
        counts = {"ratings": self.report.ratings, "quarantined": self.report.quarantined}
        return counts | {"users": self.n_users, "items": self.n_items}

    def tags(self) -> dict[str, str]:
        """Tags of a version in the registry, so that the ratings can be read again when it scores.

        An address with credentials in it is not kept: ratings from there have to be named.
        """
        newest = self.encoded.newest
        tags = {} if newest is None else {"newest_rating": str(newest)}
        if not holds_secret(self.source.location):
            layout = self.source.read.model_dump(exclude_none=True)
            tags |= {"ratings": self.source.location, "ratings_layout": json.dumps(layout)}
        return tags


@dataclass(frozen=True)
class Parts:
    """The split."""

    folder: Path
    key: str
    """Fingerprint of everything that shaped it."""
    report: SplitReport

    @classmethod
    def of(cls, done: StageOutput) -> Self:
        return cls(done.path, done.key, SplitReport.from_json(done.report))

    def load(self) -> Split:
        return Split.load(self.folder)

    def load_train(self) -> EncodedInteractions:
        """The training part alone; the files of the others are not opened."""
        return EncodedInteractions.load(self.folder / "train.parquet")


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
class TrainedBatch:
    """The models of a batch, and what they were trained on."""

    ratings: Ratings
    parts: Parts
    models: Mapping[str, TrainedModel]
    """By name, in the order of training."""
    champion: str
    interest: TrainedInterest | None = None
    lists: BatchLists = field(default_factory=BatchLists)
    """Measured on the test part; empty in a batch that is only finalized."""
    standings: Mapping[str, Standing] = field(default_factory=dict)
    """Model → its error on the ratings that chose the champion; empty where they are not at hand."""

    @property
    def best(self) -> TrainedModel:
        """The champion."""
        return self.models[self.champion]

    def to_score(self, which: Literal["all", "champion"]) -> dict[str, ToScore]:
        """The models whose predictions go into the table, by name."""
        chosen = self.models.values() if which == "all" else [self.best]
        return {model.name: model.to_score(self.lists.rank_by[model.name]) for model in chosen}
