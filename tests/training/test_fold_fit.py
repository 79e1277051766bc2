"""A model on a fold never sees the test ratings, and its intervals are measured on them."""

from dataclasses import replace

import numpy as np
import pytest

from recobatch.encode import Encoded
from recobatch.interactions import Split
from recobatch.models import ModelOptions
from recobatch.training.fit import TrainingInputs
from recobatch.training.fold_fit import fit_fold
from recobatch.training.recipe import Recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def inputs(low_rank, tmp_path_factory):
    is_test = np.arange(len(low_rank)) % 4 == 0
    encoded = Encoded(tmp_path_factory.mktemp("encoded"), low_rank.n_users, low_rank.n_items, len(low_rank), None)
    return TrainingInputs(
        encoded, Split(low_rank.take(~is_test), low_rank.take(is_test)), (1.0, 5.0), ModelOptions(sweeps=20),
        Recipe(epochs=2), seed=0,
    )  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param("explicit_mf_bias", marks=pytest.mark.slow), "bayesian_mf"])
def test_the_test_ratings_are_not_seen(inputs, name):
    test = inputs.split.test
    turned = replace(inputs, split=replace(inputs.split, test=replace(test, rating=6 - test.rating)))
    honest, other = (fit_fold(name, each, fraction=0) for each in (inputs, turned))
    assert honest.factors.fingerprint == other.factors.fingerprint
    assert honest.errors.test_mse != other.errors.test_mse
    assert honest.intervals is None


def test_intervals_cover_about_as_much_as_they_say(inputs):
    found = fit_fold("bayesian_mf", inputs, fraction=0.2)
    assert 0.8 < found.intervals.coverage <= 1
    assert found.intervals.mean_width > 0
    assert found.seconds > 0
