"""A measured Keras model trained once more, on all ratings, to be published. Imports no TensorFlow.

``bayesian_mf`` continues its chains with all ratings instead: see ``bayesian_fit``.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from recobatch.interactions import EncodedInteractions, Split
from recobatch.model_folder import ModelFolder
from recobatch.storage.durable import link_or_copy
from recobatch.training.fit import OnEpoch, TrainingInputs, TrainingReport, fitter, link_encoded


def refit(
    name: str, inputs: TrainingInputs, measured: ModelFolder, report: TrainingReport, out: Path,
    on_epoch: OnEpoch | None = None,
) -> TrainingReport:  # fmt: skip
    """Train a model from the start on all ratings, for the number of epochs that was best when it was measured.

    Nothing is held out and no epoch is chosen, so no rating is needed to validate on.

    Args:
        name: Of a Keras model.
        inputs: Those of the measured training.
        measured: The files of that training.
        report: Its report.
        out: Existing, empty folder for the files of the model that knows all ratings. They include the factors of the
            measured model, as ``ModelFolder.measured``.
        on_epoch: Called after every epoch.

    Returns:
        The report with the fingerprint of the new factors; its errors remain those of the measured model.

    Raises:
        RecobatchError: If training diverges.
    """
    folder, ratings = ModelFolder(out), EncodedInteractions.load(inputs.encoded.interactions_path, times=False)
    recipe = inputs.recipe.model_copy(update={
        "epochs": report.history.best_epoch, "validation_fraction": 0.0, "patience": None, "refit": False,
    })  # fmt: skip
    everything = Split(ratings, ratings.take(np.zeros(0, dtype=np.int64)))
    fitted = fitter(name)(name, replace(inputs, split=everything, recipe=recipe), folder, on_epoch)
    fitted.factors.save(folder.factors)
    link_encoded(inputs.encoded, folder)
    link_or_copy(measured.judged, folder.measured)
    link_or_copy(measured.test, folder.test)
    figures = {**report.figures, "refit_seconds": fitted.history.seconds}
    return replace(report, fingerprint=fitted.factors.fingerprint, trained_on="all", figures=figures)
