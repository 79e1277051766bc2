import numpy as np
import pytest

from recobatch.report.evaluation_summary import EvaluationSummary


def test_shares_are_of_all_test_rows_and_slices_hold_whole_ratings(inputs, test_rows):
    shares = EvaluationSummary.of(inputs.models, test_rows).histogram
    assert shares.ratings.sum() == pytest.approx(1)
    for share in shares.predictions.values():
        assert share.sum() == pytest.approx(1)
    rated = shares.edges[:-1][shares.ratings > 0] + 0.125
    np.testing.assert_allclose(rated, [1, 2, 3, 4, 5])


def test_models_keep_their_order(inputs, test_rows):
    summary = EvaluationSummary.of(inputs.models[::-1], test_rows)
    for by_model in (
        summary.calibration,
        summary.by_activity.rmse,
        summary.by_popularity.rmse,
        summary.histogram.predictions,
    ):
        assert list(by_model) == ["explicit_mf_bias", "explicit_mf"]


def test_group_errors_add_up_to_the_error_of_all_rows(inputs, test_rows):
    summary = EvaluationSummary.of(inputs.models, test_rows)
    for errors in (summary.by_activity, summary.by_popularity):
        for model in inputs.models:
            total = (errors.rmse[model.name] ** 2 * errors.groups.sizes).sum() / errors.groups.sizes.sum()
            assert total == pytest.approx(model.test_mse)
