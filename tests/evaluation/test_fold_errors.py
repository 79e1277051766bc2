"""Errors of warm and cold rows, against a loop."""

import numpy as np
import pytest

from recobatch.evaluation.baselines import bias_model, mean_model
from recobatch.evaluation.fold_errors import fold_errors, is_warm
from recobatch.interactions import Split


def test_warm_and_cold_rows_are_measured_apart(low_rank):
    is_train = (low_rank.user_index < 40) & (low_rank.item_index < 30) & (np.arange(len(low_rank)) % 3 > 0)
    split = Split(low_rank.take(is_train), low_rank.take(~is_train))
    model = bias_model(split.train, min_rating=1, max_rating=5)
    found = fold_errors(model, split)
    errors = {True: [], False: []}
    for user, item, rating in zip(split.test.user_index, split.test.item_index, split.test.rating, strict=True):
        warm = user in split.train.user_index and item in split.train.item_index
        errors[warm].append(float(model.predict_pairs(np.array([user]), np.array([item]))[0] - rating) ** 2)
    assert found.warm_mse == pytest.approx(np.mean(errors[True]), rel=1e-5)
    assert found.cold_mse == pytest.approx(np.mean(errors[False]), rel=1e-5)
    assert found.test_mse == pytest.approx(np.mean(errors[True] + errors[False]), rel=1e-5)
    assert is_warm(split).sum() == len(errors[True])


def test_without_cold_rows_there_is_no_error_of_them(low_rank):
    split = Split(low_rank, low_rank.take(np.arange(5)))
    found = fold_errors(mean_model(low_rank), split)
    assert found.cold_mse is None
    assert found.warm_mse == found.test_mse
    assert found.test_mse == pytest.approx(np.mean((low_rank.rating.mean() - low_rank.rating[:5]) ** 2), rel=1e-5)
