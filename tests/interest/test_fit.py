"""Both interest models of a batch: one to measure, one to publish."""

import json

import numpy as np
import pytest

from recobatch.interest.fit import MEASURED_FILE, InterestInputs, InterestTraining, fit_interest
from recobatch.interest.options import InterestOptions
from recobatch.interest.refit import refit_interest
from recobatch.interest.train import train_interest
from recobatch.interest_model import InterestModel
from recobatch.model_folder import INTEREST_FILE
from recobatch.split import SplitOptions, split

pytestmark = pytest.mark.slow

OPTIONS = InterestOptions(ease_rank=8)


@pytest.fixture(scope="module")
def parts(low_rank):
    return split(low_rank, SplitOptions())


def test_what_is_measured_knows_train_alone_and_what_is_published_knows_all(parts, low_rank, tmp_path):
    inputs = InterestInputs(parts, low_rank, (1, 5), 4, OPTIONS, 10, 0)
    training = fit_interest(inputs, tmp_path)
    alone, report = train_interest(parts.train, min_rating=1, max_rating=5, relevant=4, options=OPTIONS)
    assert InterestModel.load(tmp_path / MEASURED_FILE).fingerprint == alone.fingerprint
    published = InterestModel.load(tmp_path / INTEREST_FILE)
    assert published.fingerprint == training.fingerprint == refit_interest(alone, low_rank, options=OPTIONS).fingerprint
    assert published.fingerprint != alone.fingerprint
    assert training.report.chosen == report.chosen
    assert InterestTraining.from_json(json.loads(json.dumps(training.to_json()))) == training


def test_a_short_chain_stands_in_for_the_bayesian_model(parts, low_rank, tmp_path):
    reports = [
        fit_interest(InterestInputs(parts, low_rank, (1, 5), 4, OPTIONS, 10, 0, has_bayesian), tmp_path).report
        for has_bayesian in (True, False)
    ]
    assert reports[0].rankings["popularity"] == reports[1].rankings["popularity"]
    assert reports[0].rankings["prediction"] > reports[1].rankings["prediction"], "the truth is of low rank"


@pytest.mark.parametrize("method", ["best", "ease", "ials"])
def test_a_refit_has_the_hyperparameters_of_the_model(parts, low_rank, method):
    options = InterestOptions(method=method, ease_rank=8)
    chosen, _ = train_interest(parts.train, min_rating=1, max_rating=5, relevant=4, options=options)
    again = refit_interest(chosen, low_rank, options=options)
    for part, other in zip(chosen.parts, again.parts, strict=True):
        assert (part.kind, part.basis.shape, part.unobserved) == (other.kind, other.basis.shape, other.unobserved)
        assert other.regularization == pytest.approx(part.regularization)
    assert again.confidence == chosen.confidence
    same = refit_interest(chosen, parts.train, options=options)
    assert np.allclose(same.factors.item_factors, chosen.factors.item_factors, rtol=1e-3, atol=1e-5)
