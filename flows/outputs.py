"""What stages hand each other: folders on disk, and the few figures that the next stage or a person asks for."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from flows.settings.tree import Settings
from recobatch.addresses import holds_secret, without_secrets
from recobatch.encode import Encoded
from recobatch.evaluation.baselines import baseline_errors
from recobatch.evaluation.drift import Spread
from recobatch.evaluation.evaluate import evaluate
from recobatch.evaluation.gate import Candidate
from recobatch.factors import FactorModel
from recobatch.ingest import IngestReport
from recobatch.interactions import EncodedInteractions, Split
from recobatch.model_folder import ModelFolder
from recobatch.models import build_model, diagram_svg, save_model, summary_text, to_factors
from recobatch.sources.datasets import Source, read_titles
from recobatch.storage.durable import link_or_copy
from recobatch.storage.workspace import StageOutput
from recobatch.tracking import DatasetInfo, TrackedRun
from recobatch.training import train

OnEpoch = Callable[[int, float, float], None]


@dataclass(frozen=True)
class Ratings:
    """Clean, encoded ratings."""

    source: Source
    report: IngestReport
    folder: Path
    """``interactions.parquet``, ``users.parquet``, ``items.parquet``, ``rated.npz``."""
    key: str
    """Fingerprint of everything that shaped them."""
    n_users: int
    n_items: int
    newest: int | None
    """Unix seconds of the newest rating; None where no time is known."""

    @classmethod
    def of(cls, source: Source, report: IngestReport, encoded: StageOutput) -> Self:
        return cls(source, report, encoded.path, encoded.key, **encoded.report)

    @property
    def n_pairs(self) -> int:
        return self.n_users * self.n_items

    def info(self) -> DatasetInfo:
        """As MLflow is told."""
        return DatasetInfo(
            name=self.source.name, source=without_secrets(self.source.uri), fingerprint=self.report.fingerprint,
            n_ratings=self.report.ratings, n_users=self.n_users, n_items=self.n_items,
        )  # fmt: skip

    def interactions(self) -> EncodedInteractions:
        return EncodedInteractions.load(self.folder / "interactions.parquet")

    def tags(self) -> dict[str, str]:
        """What a version in the registry keeps, so that the ratings can be read again when it scores.

        An address with credentials in it is not kept: ratings from there have to be named.
        """
        tags = {} if self.newest is None else {"newest_rating": str(self.newest)}
        if not holds_secret(self.source.location):
            layout = self.source.read.model_dump(exclude_none=True)
            tags |= {"ratings": self.source.location, "ratings_layout": json.dumps(layout)}
        return tags

    def titles(self) -> pa.Table | None:
        """Of the items, where the source has them."""
        return read_titles(self.source.titles) if self.source.titles else None


@dataclass(frozen=True)
class Parts:
    """The split, and the errors that a model has to beat on its test part."""

    folder: Path
    key: str
    """Fingerprint of everything that shaped it."""
    sizes: Mapping[str, int]
    """Ratings in each part."""
    baselines: Mapping[str, float]
    """Baseline → test MSE."""
    ratings_spread: Spread

    @classmethod
    def of(cls, done: StageOutput) -> Self:
        report = done.report
        return cls(done.path, done.key, report["sizes"], report["baselines"], Spread(**report["ratings_spread"]))

    def load(self) -> Split:
        validation = self.folder / "validation.parquet"
        return Split(
            EncodedInteractions.load(self.folder / "train.parquet"),
            EncodedInteractions.load(self.folder / "test.parquet"),
            EncodedInteractions.load(validation) if validation.exists() else None,
        )


@dataclass(frozen=True)
class TrainedModel:
    """A trained model and its run in MLflow."""

    name: str
    folder: Path
    """``ModelFolder``, ``model_summary.txt``, ``model_diagram.svg``."""
    fingerprint: str
    """Of its ``FactorModel``."""
    run: TrackedRun
    history: Mapping[str, Any]
    """As ``recobatch.training.History``."""
    test: Mapping[str, Any]
    """As ``recobatch.evaluation.evaluate.Evaluation``."""
    validation_mse: float | None
    """Error on ratings held out from training and test; None where there are none."""

    @classmethod
    def of(cls, name: str, done: StageOutput, run: TrackedRun) -> Self:
        report = done.report
        return cls(
            name, done.path, report["fingerprint"], run, report["history"], report["test"], report["validation_mse"]
        )

    def candidate(self) -> Candidate:
        return Candidate(self.name, self.test["mse"], self.validation_mse)

    @property
    def files(self) -> ModelFolder:
        return ModelFolder(self.folder)


@dataclass(frozen=True)
class ToScore:
    """A model whose predictions go into the table."""

    name: str
    mlflow_run_id: str
    files: ModelFolder
    test_mse: float | None
    """None where its training did not tell."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of its version in the registry, where it comes from there."""


def report_of(report: IngestReport) -> dict[str, Any]:
    """A report for the workspace: its paths are relative, for the folder is renamed when it is whole."""
    paths = {"ratings_path": report.ratings_path.name, "quarantine_path": None}
    if report.quarantine_path is not None:
        paths["quarantine_path"] = report.quarantine_path.name
    return report.to_dict() | paths


def report_in(done: StageOutput) -> IngestReport:
    """The report of a finished ingest, its paths within the stage's folder."""
    values = dict(done.report)
    for name in ("ratings_path", "quarantine_path"):
        values[name] = values[name] and str(done.path / values[name])
    return IngestReport.from_dict(values)


def sizes_of(encoded: Encoded) -> dict[str, Any]:
    """The figures of an encode that ``Ratings`` keeps."""
    return {"n_users": encoded.n_users, "n_items": encoded.n_items, "newest": encoded.newest}


def write_parts(parts: Split, out: Path) -> dict[str, Any]:
    """Write the parts of a split, and say how large they are and what the baselines reach."""
    written = {"train": parts.train, "test": parts.test}
    if parts.validation is not None:
        written["validation"] = parts.validation
    for name, part in written.items():
        part.save(out / f"{name}.parquet")
    ratings = np.concatenate([part.rating for part in written.values()])
    return {
        "sizes": {name: len(part) for name, part in written.items()},
        "baselines": dict(baseline_errors(train=parts.train, test=parts.test)),
        "ratings_spread": asdict(Spread(float(ratings.mean(dtype=float)), float(ratings.std(dtype=float)))),
    }


def write_trained(
    name: str, settings: Settings, ratings: Ratings, parts: Split, out: Path, on_epoch: OnEpoch
) -> dict[str, Any]:
    """Build, train, measure and write one model.

    The validation ratings are the split's own; else a slice of train where the recipe cuts one; else, as in the
    notebook, the test ratings, which then choose nothing but are only looked at.
    """
    low, high = settings.ingest.rating_range or (ratings.report.rating_min, ratings.report.rating_max)
    model = build_model(
        name, n_users=ratings.n_users, n_items=ratings.n_items, min_rating=low, max_rating=high,
        options=settings.model, seed=settings.seed,
    )  # fmt: skip
    held_out = settings.train.validation_fraction > 0
    validation = parts.validation or (None if held_out else parts.test)
    history = train(
        model, parts.train, validation=validation, recipe=settings.train, seed=settings.seed, on_epoch=on_epoch
    )
    factors = to_factors(model)
    folder = ModelFolder(out)
    save_model(model, folder.keras)
    factors.save(folder.factors)
    for path in (folder.users, folder.items, folder.rated):
        link_or_copy(ratings.folder / path.name, path)
    (out / "model_summary.txt").write_text(summary_text(model), encoding="utf-8")
    (out / "model_diagram.svg").write_text(diagram_svg(model), encoding="utf-8")
    return {
        "history": asdict(history),
        "test": evaluate(factors, train=parts.train, test=parts.test).to_dict(),
        "validation_mse": _validation_mse(factors, parts, history.val_loss if held_out else [], history.best_epoch),
        "fingerprint": factors.fingerprint,
    }


def _validation_mse(factors: FactorModel, parts: Split, val_loss: list[float], best_epoch: int) -> float | None:
    if parts.validation is not None:
        return evaluate(factors, train=parts.train, test=parts.validation).mse
    return val_loss[best_epoch - 1] if val_loss else None


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")
