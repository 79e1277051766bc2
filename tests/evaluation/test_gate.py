"""The gate: who is champion, and what is refused."""

import math

import numpy as np
import pytest

from recobatch.errors import GateRefused
from recobatch.evaluation.gate import GateOptions, Margin, check_baseline, check_finite, check_ranking
from recobatch.evaluation.standing import Candidate, choose_champion, compare_candidates

BASELINES = {"global_mean": 1.29, "bias": 0.89}


def candidates(**errors):
    return {name: Candidate(name, *values) for name, values in errors.items()}


def test_the_lower_test_error_wins_without_validation():
    assert choose_champion(candidates(a=(0.91,), b=(0.85,))) == "b"


def test_validation_chooses_where_every_candidate_has_it():
    assert choose_champion(candidates(a=(0.80, 0.95), b=(0.85, 0.90))) == "b"


def test_test_error_chooses_where_one_has_no_validation():
    assert choose_champion(candidates(a=(0.80, 0.95), b=(0.85, None))) == "a"


def test_the_first_stays_on_a_tie():
    assert choose_champion(candidates(a=(0.9,), b=(0.9,))) == "a"


def test_nan_loses_to_any_number():
    assert choose_champion(candidates(a=(math.nan,), b=(9.0,))) == "b"


def test_nobody_finite_is_refused():
    with pytest.raises(GateRefused, match=r"no finite test error in a, b.*lower train\.learning_rate"):
        choose_champion(candidates(a=(math.nan,), b=(math.inf,)))


@pytest.mark.parametrize(("baseline", "passes"), [("global_mean", True), ("bias", False), ("none", True)])
def test_the_champion_must_beat_the_chosen_baseline(baseline, passes):
    champion, options = Candidate("explicit_mf", 0.91), GateOptions(baseline=baseline)
    if passes:
        check_baseline(champion, BASELINES, options)
    else:
        with pytest.raises(GateRefused, match=r"0\.9100 of the champion explicit_mf.*0\.8900 of the baseline bias"):
            check_baseline(champion, BASELINES, options)


def test_no_better_is_not_better():
    with pytest.raises(GateRefused):
        check_baseline(Candidate("m", 1.29), BASELINES, GateOptions())


def test_a_single_nan_prediction_is_refused():
    check_finite({"a": 0, "b": 0})
    with pytest.raises(GateRefused, match=r"1 predictions of b .*--set models=a"):
        check_finite({"a": 0, "b": 1})


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({}, r"check the ratings, try another --preset"),
        (
            {"epochs": 12, "best_epoch": 7, "stopped_early": True},
            r"early stopping \(train\.patience\) ended training after 12 epochs and kept epoch 7: .*patience=null",
        ),
        ({"epochs": 5, "best_epoch": 5}, r"training ran all 5 epochs of train\.epochs: pass --set train\.epochs=10"),
    ],
)
def test_the_message_says_what_ended_training(ended, words):
    with pytest.raises(GateRefused, match=words + r".*or pass --set gate\.baseline=none once"):
        check_baseline(Candidate("m", 0.91, **ended), BASELINES, GateOptions(baseline="bias"))


def test_paired_differences_show_what_the_spread_of_each_hides():
    rng = np.random.default_rng(0)
    ratings = rng.exponential(0.8, 4000)
    found = compare_candidates(
        {
            "best": ratings,
            "worse": ratings + rng.normal(0.02, 0.1, 4000),
            "tied": ratings + rng.normal(0, 0.1, 4000) + 1e-3,
        }
    )
    assert (found["best"].behind, found["best"].behind_se) == (0, 0)
    assert found["worse"].behind_se < found["worse"].behind < 2 * found["worse"].se, "alone, either may be the lower"
    assert [name for name, standing in found.items() if standing.is_within_noise] == ["best", "tied"]
    assert found["worse"].behind == pytest.approx(found["worse"].mse - found["best"].mse)


def test_a_standing_as_text():
    a, b, c = np.array([[1.0, 2.0, 3.0, 2.0], [1.5, 1.7, 3.5, 1.7], [2.0, 3.0, 4.0, 3.1]])
    found = compare_candidates({"a": a, "b": b, "c": c})
    assert str(found["a"]) == "2.0000 ± 0.4082"
    assert str(found["b"]).endswith("(+0.1000 ± 0.2309, within the noise)")
    assert str(found["c"]).endswith("(+1.0250 ± 0.0250)")


def test_candidates_without_a_finite_error_are_not_the_best():
    found = compare_candidates({"a": np.array([math.nan, 1.0]), "b": np.array([2.0, 1.0])})
    assert found["b"].behind == 0
    assert math.isnan(found["a"].mse)


@pytest.mark.parametrize("sizes", [(2, 3), (0, 0)])
def test_candidates_are_compared_on_the_same_ratings(sizes):
    with pytest.raises(ValueError, match="expected the same positive number for each candidate"):
        compare_candidates({str(place): np.zeros(size) for place, size in enumerate(sizes)})


def margin(ndcg, popularity=0.2, se=0.01):
    return Margin(10, ndcg, popularity, se)


@pytest.mark.parametrize("ranking", ["popularity", "warn", "none"])
def test_lists_as_good_as_popularity_pass_and_so_does_noise(ranking):
    margins = {"a": margin(0.3), "b": margin(0.2), "c": margin(0.181), "d": margin(0.2, se=None)}
    assert check_ranking(margins, dict.fromkeys(margins, "interest"), GateOptions(ranking=ranking)) == ""


def test_lists_worse_than_popularity_are_refused_unless_it_is_lifted():
    margins, ways = {"a": margin(0.3), "b": margin(0.1)}, {"a": "product", "b": "prediction"}
    words = (
        r"gate\.ranking: found lists of b by prediction with NDCG@10 0\.1000 on the test part, expected no less than "
        r"the 0\.2000 of lists by popularity; nothing was published; leave top\.rank_by at best, or pass "
        r"--set gate\.ranking=none once"
    )
    with pytest.raises(GateRefused, match=words):
        check_ranking(margins, ways, GateOptions())
    assert check_ranking(margins, ways, GateOptions(ranking="none")) == ""
    warned = check_ranking(margins, ways, GateOptions(ranking="warn"))
    assert warned.endswith("published all the same, since gate.ranking is warn")


def test_a_margin_is_that_of_the_same_users():
    found = Margin.of(0.5, np.array([1.0, 0.0, 0.5]), np.array([0.5, 0.0, 0.25]), 10)
    assert (found.difference, found.to_dict()["ratio"]) == (pytest.approx(0.25), pytest.approx(2))
    assert found.se == pytest.approx(np.std([0.5, 0, 0.25], ddof=1) / 3**0.5)
    assert Margin.of(0.5, np.array([0.5]), np.array([0.0]), 10).to_dict() == {"ndcg_at_10": 0.5, "se": None}
