"""The door to the training of any registered model: it writes a ``ModelFolder`` and returns a report."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, cast

from recobatch.encode import Encoded
from recobatch.evaluation.evaluate import Evaluation, evaluate
from recobatch.factors import FactorModel
from recobatch.interactions import Split
from recobatch.model_folder import ModelFolder
from recobatch.models import find_model
from recobatch.models.options import ModelOptions
from recobatch.storage.durable import link_or_copy
from recobatch.training.history import History
from recobatch.training.recipe import Recipe

OnEpoch = Callable[[int, float, float], None]
"""Called after each epoch with its number from 1, ``loss`` and ``val_loss`` (NaN without validation)."""


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


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained model in the common form."""

    factors: FactorModel
    history: History
    held_out_mse: float | None = None
    """Error on training ratings that the fit itself held out, squared rating units; None where it held out none."""


class Fit(Protocol):
    """How one kind of model is trained."""

    def __call__(self, name: str, inputs: TrainingInputs, folder: ModelFolder, on_epoch: OnEpoch | None) -> Fitted:
        """Train the model; into ``folder`` go only files of this kind's own, as ``model.keras`` or descriptions.

        The test part may be shown as ``val_loss``, but must choose nothing.
        """


@dataclass(frozen=True)
class TrainingReport:
    """The training of one model, and its errors on held-out ratings."""

    history: History
    test: Evaluation
    validation_mse: float | None
    """Error on ratings outside train and test that may choose the champion; None where there are none."""
    fingerprint: str
    """Of the ``FactorModel``."""

    def metrics(self) -> dict[str, float]:
        """The figures by their names in MLflow."""
        test, history = self.test, self.history
        figures = {
            "test_mse": test.mse, "test_rmse": test.rmse, "test_mae": test.mae, "test_rows": test.n_rows,
            "test_cold_rows": test.cold_rows, "test_cold_items": test.cold_items, "test_cold_users": test.cold_users,
            "train_seconds": history.seconds, "compile_seconds": history.compile_seconds,
            "best_epoch": history.best_epoch, "epochs": len(history.loss),
        }  # fmt: skip
        return figures if self.validation_mse is None else figures | {"validation_mse": self.validation_mse}

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "history": self.history.to_json(), "test": self.test.to_dict(), "validation_mse": self.validation_mse,
            "fingerprint": self.fingerprint,
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_json``."""
        history, test = History.from_json(values["history"]), Evaluation(**values["test"])
        return cls(history, test, values["validation_mse"], values["fingerprint"])


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
    fit_kind = cast(Fit, importlib.import_module(find_model(name).fit).fit)
    fitted = fit_kind(name, inputs, folder, on_epoch)
    fitted.factors.save(folder.factors)
    encoded = inputs.encoded
    for source, target in (
        (encoded.users_path, folder.users), (encoded.items_path, folder.items), (encoded.rated_path, folder.rated),
    ):  # fmt: skip
        link_or_copy(source, target)
    validation_mse = fitted.held_out_mse
    if split.validation is not None:
        validation_mse = evaluate(fitted.factors, train=split.train, test=split.validation).mse
    test = evaluate(fitted.factors, train=split.train, test=split.test)
    return TrainingReport(fitted.history, test, validation_mse, fitted.factors.fingerprint)
