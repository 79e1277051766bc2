"""The door to training: any registered model, Keras or not, becomes a model folder and a report."""

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from recobatch.errors import BadSettings
from recobatch.evaluation.evaluate import evaluate
from recobatch.factors import FactorModel, Link
from recobatch.models import REGISTRY, ModelOptions, ModelSpec
from recobatch.split import SplitOptions, split
from recobatch.training.fit import Fitted, TrainingInputs, TrainingReport, fit
from recobatch.training.history import History
from recobatch.training.recipe import Recipe
from recobatch.training.validation import hold_out
from tests.support.encoded import save_encoded

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def encoded(low_rank, tmp_path_factory):
    return save_encoded(tmp_path_factory.mktemp("encoded"), low_rank)


@pytest.fixture
def inputs(low_rank, encoded):
    def inputs(ratios=(0.8, 0.2), **recipe):
        parts = split(low_rank, SplitOptions(ratios=ratios))
        return TrainingInputs(encoded, parts, (1, 5), ModelOptions(n_factors=2), Recipe(epochs=2, **recipe), seed=3)

    return inputs


@pytest.fixture
def mean(monkeypatch):
    """A registered model that is not Keras': the mean rating for every pair."""

    def fit_mean(name, inputs, folder, on_epoch):
        if on_epoch is not None:
            on_epoch(1, 1.0, float("nan"))
        train = inputs.split.train
        sides = (np.zeros((n, 1), np.float32) for n in (train.n_users, train.n_items))
        biases = (np.zeros(n, np.float32) for n in (train.n_users, train.n_items))
        factors = FactorModel(*sides, *biases, float(train.rating.mean()), Link.IDENTITY, *inputs.rating_range)
        return Fitted(factors, History([1.0], [], 1, None, False, False, 0.1, 0.0))

    module = ModuleType("mean_fit")
    module.fit = fit_mean
    monkeypatch.setitem(sys.modules, "mean_fit", module)
    monkeypatch.setitem(REGISTRY, "mean", ModelSpec("mean", "Mean", "", fit="mean_fit"))
    return "mean"


def test_a_model_that_is_not_keras_becomes_a_folder_that_scoring_reads(mean, inputs, tmp_path):
    given, epochs = inputs(), []
    report = fit(mean, given, tmp_path, lambda *epoch: epochs.append(epoch[:2]))
    assert epochs == [(1, 1.0)]
    assert {path.name for path in tmp_path.iterdir()} == {
        "factors.npz",
        "users.parquet",
        "items.parquet",
        "rated.npz",
        "test.npz",
    }
    factors = FactorModel.load(tmp_path / "factors.npz")
    assert report.fingerprint == factors.fingerprint
    assert report.test == evaluate(factors, train=given.split.train, test=given.split.test)
    assert report.validation_mse is None
    assert "validation_mse" not in report.metrics()
    assert TrainingReport.from_json(report.to_json()) == report


def test_a_keras_model_is_kept_with_its_description(inputs, tmp_path):
    fit("explicit_mf", inputs(), tmp_path)
    assert {"model.keras", "model_summary.txt", "model_diagram.svg"} <= {path.name for path in tmp_path.iterdir()}


def test_test_ratings_are_looked_at_but_choose_nothing(inputs, tmp_path):
    report = fit("explicit_mf", inputs(), tmp_path)
    assert len(report.history.val_loss) == 2
    assert report.validation_mse is None


def test_a_validation_part_chooses_by_its_error(inputs, tmp_path):
    given = inputs(ratios=(0.6, 0.2, 0.2))
    report = fit("explicit_mf", given, tmp_path)
    factors = FactorModel.load(tmp_path / "factors.npz")
    assert report.validation_mse == evaluate(factors, train=given.split.train, test=given.split.validation).mse
    assert report.metrics()["validation_mse"] == report.validation_mse


def test_a_held_out_slice_chooses_by_its_error_without_penalties(inputs, tmp_path):
    given = inputs(validation_fraction=0.1)
    given = replace(given, options=given.options.model_copy(update={"l2": 0.01}))
    report = fit("explicit_mf", given, tmp_path)
    train = given.split.train
    held_out = train.take(hold_out(len(train), 0.1, np.random.default_rng([given.seed, 1])))
    factors = replace(FactorModel.load(tmp_path / "factors.npz"), min_rating=0.0, max_rating=0.0)
    assert report.validation_mse == report.history.val_mse
    assert report.validation_mse == pytest.approx(evaluate(factors, train=given.split.train, test=held_out).mse)
    assert report.validation_mse < report.history.val_loss[report.history.best_epoch - 1]


def test_an_unknown_model_is_refused(inputs, tmp_path):
    with pytest.raises(BadSettings, match="model: found 'nobody', expected one of explicit_mf"):
        fit("nobody", inputs(), tmp_path)


def test_a_loss_that_is_no_number_survives_json():
    history = History([1.0], [float("nan")], 1, None, False, False, 0.1, 0.0)
    assert history.to_json()["val_loss"] == [None]
    assert np.isnan(History.from_json(history.to_json()).val_loss).all()
