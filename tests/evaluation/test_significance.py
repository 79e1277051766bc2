"""Means, spreads and paired tests against SciPy and by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from recobatch.evaluation.fold_results import FoldFigures, compare_pairs, summarize_folds
from recobatch.evaluation.significance import Spread, paired_test

pytestmark = pytest.mark.slow

A, B = [0.90, 0.88, 0.93, 0.91], [0.87, 0.88, 0.89, 0.90]


def test_what_is_missing_does_not_count():
    spread = Spread.of([1.0, None, 3.0, math.nan])
    assert spread.to_dict() == {"mean": 2.0, "sd": math.sqrt(2), "folds": [1.0, None, 3.0, None]}
    assert Spread.of([None]) == Spread(None, None, (None,))
    assert Spread.of([2.0]).sd is None


def test_windows_are_tested_as_scipy_does():
    test = paired_test("test_mse", ("a", "b"), (Spread.of(A), Spread.of(B)), test_share=None)
    assert test.p_value == pytest.approx(stats.ttest_rel(A, B).pvalue)
    assert test.difference == pytest.approx(0.02)


def test_overlapping_folds_are_less_sure():
    """Nadeau and Bengio 2003: the variance of the mean is multiplied with (1 / n + test / train) n."""
    spreads = Spread.of(A), Spread.of(B)
    corrected = paired_test("test_mse", ("a", "b"), spreads, test_share=0.25)
    difference = np.array(A) - B
    t = difference.mean() / math.sqrt((1 / 4 + 0.25) * difference.var(ddof=1))
    assert corrected.p_value == pytest.approx(2 * stats.t.sf(t, 3))
    assert corrected.p_value > paired_test("test_mse", ("a", "b"), spreads, test_share=None).p_value


def test_nothing_is_sure_without_a_spread():
    one = paired_test("m", ("a", "b"), (Spread.of([1.0]), Spread.of([2.0])), test_share=None)
    assert (one.difference, one.p_value) == (-1.0, None)
    assert paired_test("m", ("a", "b"), (Spread.of([1.0, 2.0]), Spread.of([1.0, 2.0])), test_share=0.1).p_value is None
    assert paired_test("m", ("a", "b"), (Spread.of([1.0, None]), Spread.of([None, 1.0])), test_share=None) is None


def test_folds_are_summarized_by_model_and_metric():
    folds = [
        FoldFigures(
            f"fold-{n}", 8, 2, 0, None, None, {"a": {"test_mse": A[n]}, "b": {"test_mse": B[n], "ndcg": 0.1 * n}}
        )
        for n in range(4)
    ]
    summary = summarize_folds(folds)
    assert summary["a"]["test_mse"] == Spread.of(A)
    assert summary["b"]["ndcg"].mean == pytest.approx(0.15)
    tests = compare_pairs(summary, ["a", "b"], ["test_mse", "ndcg"], test_share=None)
    assert [(test.metric, test.first, test.second) for test in tests] == [("test_mse", "a", "b")]
    assert folds[0].sizes() == {"name": "fold-0", "train": 8, "test": 2, "cold": 0, "since": None, "until": None}
