"""The door to the training of any registered model: it writes a ``ModelFolder`` and returns a report."""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self, cast

from recobatch.encode import Encoded
from recobatch.evaluation.evaluate import Evaluation, evaluate
from recobatch.factors import FactorModel
from recobatch.features import Features
from recobatch.interactions import Split
from recobatch.model_folder import ModelFolder
from recobatch.models import find_model
from recobatch.models.native_log import import_tensorflow
from recobatch.models.options import ModelOptions
from recobatch.rated import RatedPairs
from recobatch.storage.durable import link_or_copy
from recobatch.training.history import History
from recobatch.training.recipe import Recipe

TrainedOn = Literal["all", "train"]
"""Ratings that a model knows: every one, or the training part."""


class OnEpoch(Protocol):
    """Called after each epoch."""

    def __call__(self, epoch: int, loss: float, val_loss: float, **figures: float) -> None:
        """Take the number of the epoch from 1, ``loss``, ``val_loss`` (NaN without validation), and further figures."""


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """What a model is trained on, and how."""

    encoded: Encoded
    """All ratings by index, and the vocabularies."""
    split: Split
    rating_range: tuple[float, float]
    """Lowest and highest possible rating."""
    options: ModelOptions
    recipe: Recipe
    seed: int
    users: Features | None = None
    """Side features of the users, for models that use them."""
    items: Features | None = None
    """Side features of the items, likewise."""
    room: int = 0
    """As of ``recobatch.training.train``."""
    trained_on: TrainedOn = "train"
    """Ratings that the published model is to know, where the fit itself can give it more after it was measured; see
    ``recobatch.training.refit`` for the other kinds."""
    n_threads: int | None = None
    """Threads of a model that trains in NumPy; None for one for each core. They do not change the result."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained model in the common form."""

    factors: FactorModel
    history: History
    held_out_mse: float | None = None
    """Error on training ratings that the fit itself held out, squared rating units; None where it held out none."""
    published: FactorModel | None = None
    """The model as it knows all ratings; None where ``factors`` is published."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """Further figures of the training, by their names in MLflow."""
    by_epoch: Mapping[str, list[float]] = field(default_factory=dict)
    """Further figures per epoch, by their names in MLflow."""


class Fit(Protocol):
    """How one kind of model is trained."""

    def __call__(
        self, name: str, inputs: TrainingInputs, folder: ModelFolder | None, on_epoch: OnEpoch | None
    ) -> Fitted:
        """Train the model; into ``folder`` go only files of this kind's own, as ``model.keras`` or descriptions.

        Without a folder, the model is only compared with others: nothing is written, and ``published`` is None.

        The test part may be shown as ``val_loss``, but must choose nothing.
        """


class KerasTrainer(Protocol):
    """Something that trains Keras models in place of this process."""

    def fit(self, name: str, inputs: TrainingInputs, folder: ModelFolder | None, on_epoch: OnEpoch | None) -> Fitted:
        """See ``Fit``."""

    def wait_until_ready(self) -> None:
        """Return once it can begin."""

    def end(self) -> None:
        """Give back what it holds; may be called again."""


@dataclass(frozen=True)
class TrainingReport:
    """The training of one model, and its errors on held-out ratings."""

    history: History
    test: Evaluation
    validation_mse: float | None
    """Error on ratings outside train and test that may choose the champion; None where there are none."""
    fingerprint: str
    """Of the published ``FactorModel``."""
    trained_on: TrainedOn = "train"
    """Ratings that the published model knows; ``test`` is of the model that knows the training part."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """As in ``Fitted``."""
    by_epoch: Mapping[str, list[float]] = field(default_factory=dict)
    """As in ``Fitted``."""

    def figures_of(self, epoch: int) -> dict[str, float]:
        """Those of ``by_epoch``; epochs count from 0."""
        return {name: values[epoch] for name, values in self.by_epoch.items()}

    def metrics(self) -> dict[str, float]:
        """The figures by their names in MLflow."""
        test, history = self.test, self.history
        figures = {
            "test_mse": test.mse, "test_rmse": test.rmse, "test_mae": test.mae, "train_seconds": history.seconds,
            **self.figures,
        }  # fmt: skip
        return figures if self.validation_mse is None else figures | {"validation_mse": self.validation_mse}

    def facts(self) -> dict[str, float]:
        """Counts, by their names in MLflow."""
        test, history = self.test, self.history
        return {
            "test_rows": test.n_rows, "test_cold_rows": test.cold_rows, "test_cold_items": test.cold_items,
            "test_cold_users": test.cold_users, "compile_seconds": history.compile_seconds,
            "best_epoch": history.best_epoch, "epochs": len(history.loss),
        }  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "history": self.history.to_json(), "test": self.test.to_dict(), "validation_mse": self.validation_mse,
            "fingerprint": self.fingerprint, "trained_on": self.trained_on, "figures": dict(self.figures),
            "by_epoch": dict(self.by_epoch),
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_json``."""
        history, test = History.from_json(values["history"]), Evaluation(**values["test"])
        return cls(
            history, test, values["validation_mse"], values["fingerprint"], values["trained_on"], values["figures"],
            values["by_epoch"],
        )  # fmt: skip


_keras_trainer: KerasTrainer | None = None


@contextmanager
def keras_trained_by(trainer: KerasTrainer) -> Iterator[None]:
    """Let ``trainer`` train the Keras models until the block ends, or ``train_keras_here`` is called."""
    global _keras_trainer
    _keras_trainer = trainer
    try:
        yield
    finally:
        train_keras_here()


def train_keras_here() -> None:
    """End the trainer, if there is one: it is sent a copy of the ratings, for which many would need the memory."""
    global _keras_trainer
    if _keras_trainer is not None:
        _keras_trainer.end()
        _keras_trainer = None


def wait_for_tensorflow() -> None:
    """Return once TensorFlow is imported, where the Keras models are trained."""
    if _keras_trainer is None:
        import_tensorflow()
    else:
        _keras_trainer.wait_until_ready()


def fitter(name: str) -> Fit:
    """How a registered model is trained.

    Raises:
        BadSettings: If there is no model of that name.
    """
    spec = find_model(name)
    if spec.is_keras and _keras_trainer is not None:
        return _keras_trainer.fit
    return cast(Fit, importlib.import_module(spec.fit).fit)


def n_steps(name: str, options: ModelOptions, recipe: Recipe, n_ratings: int) -> int:
    """Most epochs, or sweeps, that a training on so many ratings takes."""
    spec = find_model(name)
    if spec.is_keras:
        return recipe.epochs
    count: int = importlib.import_module(spec.fit).n_steps(options, n_ratings)
    return count


def fit(name: str, inputs: TrainingInputs, out: Path, on_epoch: OnEpoch | None = None) -> TrainingReport:
    """Train a registered model, measure it on the test part, and write the files of ``ModelFolder``.

    Args:
        name: One of ``MODEL_NAMES``.
        inputs: Ratings and hyperparameters.
        out: Existing, empty folder.
        on_epoch: Called after every epoch.

    Raises:
        BadSettings: If there is no model of that name, or its hyperparameters do not fit the ratings.
        RecobatchError: If training diverges.
    """
    folder, split = ModelFolder(out), inputs.split
    fitted = fitter(name)(name, inputs, folder, on_epoch)
    published = fitted.published or fitted.factors
    published.save(folder.factors)
    if fitted.published is not None:
        fitted.factors.save(folder.measured)
    RatedPairs.collect(split.test).save(folder.test)
    link_encoded(inputs.encoded, folder)
    validation_mse = fitted.held_out_mse
    if split.validation is not None:
        validation_mse = evaluate(fitted.factors, train=split.train, test=split.validation).mse
    test = evaluate(fitted.factors, train=split.train, test=split.test)
    return TrainingReport(
        fitted.history, test, validation_mse, published.fingerprint, "all" if fitted.published else "train",
        fitted.figures, fitted.by_epoch,
    )  # fmt: skip


def link_encoded(encoded: Encoded, folder: ModelFolder) -> None:
    """Put the vocabularies and rated pairs of all ratings into the folder of a model of them."""
    for source, target in (
        (encoded.users_path, folder.users), (encoded.items_path, folder.items), (encoded.rated_path, folder.rated),
    ):  # fmt: skip
        link_or_copy(source, target)
