"""The page of an evaluation: whole, self-contained, and escaped."""

from dataclasses import replace

import pytest

from flows.results.evaluation import EvaluationResult
from flows.results.evaluation_page import evaluation_report
from recobatch.report.evaluation_page import write_evaluation_page

pytestmark = pytest.mark.slow


def _figures(**values):
    return {
        name: {"mean": sum(each) / len(each), "sd": 0.01, "folds": list(each)} for name, each in values.items()
    }  # fmt: skip


def test_the_page_shows_figures_tests_and_folds(tmp_path):
    result = EvaluationResult(
        "20261124T030000Z-1a2b3c", "windows",
        {"source": "<b>ratings.csv</b>", "ratings": 1000, "users": 20, "items": 30, "quarantined": 2},
        [
            {"name": "window-1", "train": 500, "test": 250, "cold": 9, "since": 0, "until": 86_400},
            {"name": "window-2", "train": 750, "test": 250, "cold": 4, "since": 86_401, "until": 172_800},
        ],
        {"a": _figures(test_mse=(0.9, 0.8), ndcg_at_10=(0.1, 0.2)), "b": _figures(test_mse=(1.0, 1.1))},
        {"bias": _figures(test_mse=(1.2, 1.1))},
        [{"metric": "test_mse", "first": "a", "second": "b", "difference": -0.2, "p_value": 0.01}], {}, None, [], 1.0,
    )  # fmt: skip
    write_evaluation_page(evaluation_report(result), tmp_path / "pages" / "page.html")
    page = (tmp_path / "pages" / "page.html").read_text(encoding="utf-8")
    assert "a has the lowest test error over 2 windows" in page
    assert (
        "No model is better than the baseline bias over 2 windows"
        in evaluation_report(replace(result, baselines={"bias": _figures(test_mse=(0.7, 0.8))})).title
    )
    assert "0.8500 ± 0.0100" in page
    assert "test MSE: a - b = -0.2000 (p = 0.01, clear)" in page
    assert "1970-01-01 to 1970-01-02" in page
    assert "baseline bias" in page
    assert page.count("<svg") == 2
    assert "<b>ratings" not in page
    assert "src=" not in page
    assert "://" not in page.replace("http://www.w3.org", "")
