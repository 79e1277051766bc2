from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recobatch.interactions import EncodedInteractions
from recobatch.report import ModelResult
from recobatch.report.evaluation_summary import (
    Calibration,
    EvaluationSummary,
    GroupErrors,
    item_errors,
)  # fmt: skip


@pytest.fixture(scope="module")
def summary(inputs):
    return EvaluationSummary.of(inputs)


def test_histogram_shares_are_of_all_test_rows_and_bins_hold_whole_ratings(summary):
    shares = summary.histogram
    assert shares.ratings.sum() == pytest.approx(1)
    for share in shares.predictions.values():
        assert share.sum() == pytest.approx(1)
    rated = shares.edges[:-1][shares.ratings > 0] + 0.125
    np.testing.assert_allclose(rated, [1, 2, 3, 4, 5])


def test_models_are_ranked_with_the_champion_first(summary):
    for by_model in (
        summary.calibration,
        summary.by_activity.rmse,
        summary.by_popularity.rmse,
        summary.histogram.predictions,
        summary.items,
    ):
        assert list(by_model) == ["explicit_mf_bias", "explicit_mf"]


def test_models_with_predictions_that_are_not_finite_are_left_out(inputs, changed):
    broken = replace(inputs.models[0], test_prediction=np.full(600, np.nan))
    assert list(EvaluationSummary.of(changed(models=[broken, inputs.models[1]])).calibration) == ["explicit_mf_bias"]
    assert EvaluationSummary.of(changed(models=[broken])) is None


def test_group_errors_add_up_to_the_error_of_all_rows(inputs, summary):
    for errors in (summary.by_activity, summary.by_popularity):
        for model in inputs.models:
            total = (errors.rmse[model.name] ** 2 * errors.sizes).sum() / errors.sizes.sum()
            assert total == pytest.approx(model.test_mse)


def test_cold_rows_are_those_of_items_and_users_absent_from_train(inputs):
    test, train = inputs.split.test, inputs.split.train
    known = np.isin(test.user_index, train.user_index) & np.isin(test.item_index, train.item_index)
    assert inputs.cold_rows == (~known).sum() > 0


def test_calibration_of_a_perfect_model_lies_on_the_diagonal():
    rating = np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 20)
    groups = Calibration.of(rating, rating.copy())
    np.testing.assert_allclose(groups.predicted, groups.observed)
    assert len(groups.predicted) == 10


def test_calibration_with_fewer_rows_than_groups():
    groups = Calibration.of(np.array([1.0, 5.0]), np.array([2.0, 4.0]))
    np.testing.assert_allclose(groups.predicted, [2, 4])
    np.testing.assert_allclose(groups.observed, [1, 5])


def group(counts, rating=0.0, prediction=0.0):
    rating, prediction = np.broadcast_to(rating, counts.shape), np.broadcast_to(prediction, counts.shape)
    model = ModelResult("m", [], [], prediction, np.zeros((1, 1)), 0, 0, 0, 0)
    return GroupErrors.of(counts, [model], rating)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=400))
def test_every_row_is_in_the_group_that_its_label_names(counts):
    counts = np.array(counts)
    groups = group(counts)
    assert groups.sizes.sum() == len(counts)
    assert (groups.sizes > 0).all()
    assert len(groups.sizes) == len(groups.labels)
    for count, place in zip(counts, groups.group, strict=True):
        first, _, last = groups.labels[place].replace(",", "").partition("–")
        assert int(first) <= count <= int(last or first)


def test_rows_of_the_unseen_stay_a_group_however_few():
    groups = group(np.r_[0, np.full(5000, 30)])
    assert groups.labels[0] == "0"
    assert groups.sizes[0] == 1


def test_error_per_group_is_the_root_mean_square():
    groups = group(np.array([1, 1, 30, 30]), np.array([1.0, 1.0, 5.0, 5.0]), np.array([4.0, 5.0, 5.0, 5.0]))
    np.testing.assert_allclose(groups.rmse["m"], [np.sqrt(12.5), 0])


def test_items_come_by_ascending_error_and_rare_ones_are_left_out():
    item = np.r_[np.repeat(np.arange(22), 10), 22]
    rating = np.full(len(item), 3.0)
    test = EncodedInteractions(np.zeros_like(item), item, rating, np.zeros_like(item), 1, 23)
    errors = item_errors(test, rating + item / 10, [f"t{number}" for number in range(23)])
    assert [error.title for error in errors] == [f"t{number}" for number in range(22)]
    assert errors[-1].rmse == pytest.approx(2.1)
    assert errors[0].n_rows == 10
