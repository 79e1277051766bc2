import numpy as np
import pytest

from recobatch.report.judged import judge


def test_shares_are_of_all_test_rows_and_slices_hold_whole_ratings(inputs, test_rows):
    shares = judge(inputs.models, test_rows).shares
    assert shares.ratings.sum() == pytest.approx(1)
    for share in shares.predictions.values():
        assert share.sum() == pytest.approx(1)
    rated = shares.edges[:-1][shares.ratings > 0] + 0.125
    np.testing.assert_allclose(rated, [1, 2, 3, 4, 5])


def test_models_keep_their_order(inputs, test_rows):
    judged = judge(inputs.models[::-1], test_rows)
    for by_model in (judged.calibration, judged.by_activity.rmse, judged.by_popularity.rmse, judged.shares.predictions):
        assert list(by_model) == ["explicit_mf_bias", "explicit_mf"]


def test_group_errors_add_up_to_the_error_of_all_rows(inputs, test_rows):
    judged = judge(inputs.models, test_rows)
    for errors in (judged.by_activity, judged.by_popularity):
        for model in inputs.models:
            total = (errors.rmse[model.name] ** 2 * errors.groups.sizes).sum() / errors.groups.sizes.sum()
            assert total == pytest.approx(model.test_mse)
