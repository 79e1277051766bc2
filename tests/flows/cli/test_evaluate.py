"""The options of ``recobatch evaluate``, and the lines it prints."""

from io import StringIO

import pytest

from flows.cli.evaluate import read_folds
from flows.results.evaluation import EvaluationResult, paired_lines, print_evaluation, shown_metrics, spread_text
from recobatch.errors import BadSettings
from recobatch.evaluation.folds import FoldOptions


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((None, None, None, None), FoldOptions()),
        ((3, None, None, None), FoldOptions(method="windows", number=3)),
        ((3, None, None, "2w"), FoldOptions(method="windows", number=3, horizon_days=14)),
        ((None, None, None, "12h"), FoldOptions(method="windows", horizon_days=0.5)),
        ((None, 4, None, None), FoldOptions(method="repeats", number=4)),
        ((None, None, 10, None), FoldOptions(method="folds", number=10)),
    ],
)
def test_options_say_how_ratings_are_divided(given, wanted):
    assert read_folds(*given) == wanted


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((3, 2, None, None), "found --windows and --repeats, expected one of them"),
        ((None, None, 5, "30d"), "found --horizon with --folds, expected it with --windows"),
        ((3, None, None, "month"), "found 'month', expected a number and h, d, w or y"),
        ((3, None, None, "0d"), "found '0d'"),
    ],
)
def test_options_that_contradict_are_refused(given, words):
    with pytest.raises(BadSettings, match=words):
        read_folds(*given)


def _figure(mean, sd=None):
    return {"mean": mean, "sd": sd, "folds": [mean]}


def test_lines_say_what_is_sure():
    figures = {"test_mse": _figure(0.9, 0.01), "warm_mse": _figure(0.8), "cold_mse": _figure(None)}
    paired = [
        {"metric": "test_mse", "first": "a", "second": "b", "difference": -0.02, "p_value": 0.001},
        {"metric": "ndcg_at_10", "first": "a", "second": "b", "difference": 0.01, "p_value": 0.4},
        {"metric": "ndcg_at_10", "first": "a", "second": "b", "difference": 0.01, "p_value": None},
    ]
    result = EvaluationResult("e", "folds", {}, [], {"a": figures}, {}, paired, {}, None, [], 1.0)
    assert paired_lines(result) == [
        "test MSE: a - b = -0.0200 (p = 0.001, clear)", "NDCG@10: a - b = +0.0100 (p = 0.4)",
        "NDCG@10: a - b = +0.0100 (too few folds for a test)",
    ]  # fmt: skip
    assert shown_metrics(result) == ["test_mse"]
    assert [spread_text(figures[name]) for name in figures] == ["0.9000 ± 0.0100", "0.8000", "–"]
    assert spread_text(None) == "–"
    assert EvaluationResult.from_dict(result.to_dict()) == result


def test_a_terminal_is_shown_means_and_spreads():
    models = {
        "a": {"test_mse": _figure(0.9, 0.01), "train_seconds": _figure(123.4)},
        "b": {"test_mse": _figure(0.8), "train_seconds": _figure(None)},
    }
    folds = [{"name": "1", "train": 70, "test": 1000, "cold": 30}, {"name": "2", "train": 70, "test": 1000, "cold": 10}]
    result = EvaluationResult(
        "e", "folds", {}, folds, models, {"bias": {"test_mse": _figure(1.0)}}, [], {}, "page.html", ["train a"], 1.0
    )
    print_evaluation(result, out := StringIO())
    lines = [" ".join(line.replace("│", "").split()) for line in out.getvalue().splitlines()]
    assert lines[0] == "2 folds: mean ± standard deviation"
    assert {"a 0.9000 ± 0.0100 123.4", "b 0.8000 –", "baseline bias 1.0000 –"} <= set(lines)
    caption = "test ratings: 1,000, 1,000; 2.0% of them of users or items without training ratings"
    assert lines[-4:] == [
        caption, "1.0 s; nothing was registered or published.", "Made by an earlier run: train a.", "Page: page.html",
    ]  # fmt: skip
