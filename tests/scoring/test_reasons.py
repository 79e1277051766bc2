"""Reasons add up to the score that they explain."""

import numpy as np
import pytest

from recobatch.bayesian import BayesianOptions, fit_bayesian
from recobatch.interest import InterestOptions, train_interest
from recobatch.scoring.reasons import interest_reasons, rating_reasons, similar_rows
from tests.support.tastes import tastes

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("method", ["ease", "ials", "best"])
def test_what_ratings_add_is_the_interest(method):
    ratings = tastes()
    model, _ = train_interest(
        ratings, min_rating=1, max_rating=5, relevant=4, options=InterestOptions(method=method, ease_rank=20)
    )
    for user in (0, 17):
        rows, items = ratings.user_index == user, np.arange(ratings.n_items)
        reasons = interest_reasons(model, ratings.item_index[rows], ratings.rating[rows], items)
        score = model.factors.item_factors @ model.factors.user_factors[user]
        np.testing.assert_allclose(reasons.sum(axis=0), score, rtol=1e-3, atol=1e-4)


def test_without_ratings_there_are_no_reasons():
    model, _ = train_interest(
        tastes(), min_rating=1, max_rating=5, relevant=4, options=InterestOptions(method="ease", ease_rank=20)
    )
    assert interest_reasons(model, np.zeros(0, int), np.zeros(0), np.arange(3)).shape == (0, 3)


def test_implicit_features_add_up_to_the_prior_mean_of_a_user():
    ratings = tastes()
    state = fit_bayesian(ratings, options=BayesianOptions(n_factors=3, sweeps=20), seed=1).state
    rated, items = ratings.item_index[ratings.user_index == 5], np.array([0, 7, 30])
    found = rating_reasons(state, rated, items)
    wanted = np.zeros(3)
    for sample in state.samples:
        mean = sample["user_weights_1"][rated].sum(axis=0) / np.sqrt(len(rated))
        wanted += (sample["item_vectors"][items, :-1] @ mean[:-1] + mean[-1]) * state.scale
    np.testing.assert_allclose(found.sum(axis=0), wanted / len(state.samples), rtol=1e-4)


def test_similar_rows_are_by_angle_not_length():
    vectors = np.array([[1.0, 0], [0, 1], [5, 0.1], [-1, 0], [0, 0]])
    rows, cosine = similar_rows([vectors], 0, 4)
    assert rows.tolist() == [2, 1, 4, 3]
    assert cosine[0] > 0.99
    assert cosine[-1] == -1
