"""A Keras model measured on the training part, and trained again on all ratings to be published."""

from dataclasses import replace

import numpy as np
import pytest

from recobatch.evaluation.evaluate import evaluate
from recobatch.factors import FactorModel
from recobatch.interactions import Split
from recobatch.model_folder import ModelFolder
from recobatch.models import load_model, to_factors
from recobatch.models.options import ModelOptions
from recobatch.training.fit import TrainingInputs, TrainingReport, fit
from recobatch.training.keras_fit import fit as fit_keras
from recobatch.training.recipe import Recipe
from recobatch.training.refit import refit
from tests.support.encoded import save_encoded

pytestmark = pytest.mark.slow

NAME = "explicit_mf_bias"


@pytest.fixture(scope="module")
def inputs(low_rank, tmp_path_factory):
    encoded = save_encoded(tmp_path_factory.mktemp("encoded"), low_rank)
    later = np.arange(len(low_rank)) % 5 == 0
    parts = Split(low_rank.take(~later), low_rank.take(later))
    recipe = Recipe(epochs=9, learning_rate=0.02, validation_fraction=0.2, patience=2, refit=True)
    return TrainingInputs(encoded, parts, (1.0, 5.0), ModelOptions(n_factors=2), recipe, seed=4)


@pytest.fixture(scope="module")
def refitted(inputs, tmp_path_factory):
    """The measured folder and report, the published ones, and the epochs that were reported."""
    measured, published = tmp_path_factory.mktemp("measured"), tmp_path_factory.mktemp("published")
    report, seen = fit(NAME, inputs, measured), []
    again = refit(
        NAME, inputs, ModelFolder(measured), report, published, lambda epoch, *_, **__: seen.append(epoch)
    )  # fmt: skip
    return ModelFolder(measured), report, ModelFolder(published), again, seen


def test_the_published_model_knows_all_ratings_and_the_errors_stay_those_of_the_measured_one(inputs, refitted):
    measured, report, published, again, _ = refitted
    assert (report.trained_on, again.trained_on) == ("train", "all")
    factors = FactorModel.load(published.factors)
    assert again.fingerprint == factors.fingerprint != report.fingerprint
    assert (again.test, again.history, again.validation_mse) == (report.test, report.history, report.validation_mse)
    assert FactorModel.load(published.judged).fingerprint == FactorModel.load(measured.factors).fingerprint
    assert evaluate(factors, train=inputs.split.train, test=inputs.split.test).mse < report.test.mse
    assert published.load().fingerprints["rated"] == measured.load().fingerprints["rated"]
    assert published.descriptions
    assert published.test.exists()
    assert TrainingReport.from_json(again.to_json()) == again


def test_it_is_trained_for_the_epochs_that_were_best(refitted):
    _, report, _, again, seen = refitted
    assert seen == list(range(1, report.history.best_epoch + 1))
    assert again.figures["refit_seconds"] > 0


def test_it_is_the_model_that_all_ratings_alone_would_give(inputs, refitted, low_rank):
    _, report, published, _, _ = refitted
    recipe = Recipe(epochs=report.history.best_epoch, learning_rate=0.02)
    alone = replace(inputs, split=Split(low_rank, low_rank.take(np.zeros(0, np.int64))), recipe=recipe)
    expected = fit_keras(NAME, alone, None, None).factors
    assert FactorModel.load(published.factors).fingerprint == expected.fingerprint
    assert to_factors(load_model(published.keras), rating_range=(1.0, 5.0)).fingerprint == expected.fingerprint
