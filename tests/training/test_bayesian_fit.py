"""``bayesian_mf`` as a model of the job: measured on the training part, published with all ratings."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from recobatch.bayesian import BayesianState
from recobatch.evaluation.evaluate import evaluate
from recobatch.factors import FactorModel
from recobatch.interactions import Split
from recobatch.model_folder import ModelFolder
from recobatch.models.options import ModelOptions
from recobatch.training.fit import TrainingInputs, TrainingReport, fit, n_steps
from recobatch.training.recipe import Recipe
from tests.support.encoded import save_encoded

pytestmark = pytest.mark.slow


@pytest.fixture
def inputs(low_rank, tmp_path):
    folder = tmp_path / "encoded"
    folder.mkdir()
    encoded = save_encoded(folder, low_rank)
    later = np.arange(len(low_rank)) % 5 == 0
    parts = Split(low_rank.take(~later), low_rank.take(later))
    options = ModelOptions(n_factors=2, sweeps=30)
    return TrainingInputs(encoded, parts, (1.0, 5.0), options, Recipe(), seed=4, trained_on="all")


def fitted(inputs, out, on_epoch=None):
    out.mkdir()
    return fit("bayesian_mf", inputs, out, on_epoch), ModelFolder(out)


def test_the_judged_model_is_measured_and_one_that_knows_all_ratings_is_published(inputs, tmp_path):
    report, folder = fitted(inputs, tmp_path / "all")
    judged, published = FactorModel.load(folder.judged), FactorModel.load(folder.factors)
    test = inputs.split.test
    assert report.trained_on == "all"
    assert report.fingerprint == published.fingerprint != judged.fingerprint
    assert evaluate(judged, train=inputs.split.train, test=test).mse == report.test.mse
    assert evaluate(published, train=inputs.split.train, test=test).mse < report.test.mse
    assert (published.min_rating, published.max_rating) == (1.0, 5.0)
    assert BayesianState.load(folder.state).n_factors == 2


def test_it_is_published_as_measured_if_wanted(inputs, tmp_path):
    report, folder = fitted(replace(inputs, trained_on="train"), tmp_path / "train")
    assert report.trained_on == "train"
    assert folder.judged == folder.factors
    assert FactorModel.load(folder.factors).fingerprint == report.fingerprint
    assert folder.state.exists()


def test_every_sweep_is_reported(inputs, tmp_path):
    seen = []
    report, _ = fitted(inputs, tmp_path / "seen", lambda *losses, **figures: seen.append((*losses, figures)))
    history = report.history
    assert [sweep for sweep, *_ in seen] == list(range(1, 31))
    assert [loss for _, loss, *_ in seen] == history.loss
    assert [figures for *_, figures in seen] == [report.figures_of(sweep) for sweep in range(30)]
    assert history.val_loss == []
    assert {"rank", "largest_move", "rms_move"} <= report.metrics().keys()
    assert TrainingReport.from_json(report.to_json()) == report
    assert n_steps("bayesian_mf", ModelOptions(sweeps=30, chains=2), Recipe(), 100) == 60


def test_the_validation_part_of_the_split_is_watched(inputs, tmp_path):
    test = inputs.split.test
    odd = np.arange(len(test)) % 2 == 1
    split = Split(inputs.split.train, test.take(odd), test.take(~odd))
    report, _ = fitted(replace(inputs, split=split), tmp_path / "three")
    assert report.history.val_loss[-1] == pytest.approx(report.validation_mse, rel=0.01)


def test_the_same_seed_gives_the_same_bytes(inputs, tmp_path):
    one, _ = fitted(inputs, tmp_path / "one")
    again, _ = fitted(inputs, tmp_path / "again")
    assert one.fingerprint == again.fingerprint


@pytest.mark.process
def test_it_needs_no_tensorflow():
    code = "import recobatch.training.bayesian_fit, recobatch.training.choice, sys; print('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
