"""The gate: who is champion, and what is refused."""

import math

import pytest

from recobatch.errors import GateRefused
from recobatch.evaluation.gate import Candidate, GateOptions, check_baseline, check_finite, choose_champion

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
