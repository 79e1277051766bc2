"""Drift between batches: what moves, how far, and which line trips."""

import dataclasses
import math

import pytest

from recobatch.errors import GateRefused
from recobatch.evaluation.drift import BatchFacts, DriftOptions, MissingIds, Spread, check_drift

BEFORE = BatchFacts(1000, Spread(3.5, 1.0), "bias", 0.80, {"bias": Spread(3.5, 0.6), "plain": Spread(3.4, 0.5)})
NOBODY = MissingIds(0.0, 0.0)


def check(gone=NOBODY, options=None, **changes):
    check_drift(dataclasses.replace(BEFORE, **changes), BEFORE, gone, options or DriftOptions(), "v1")


def test_the_same_batch_passes():
    check()


@pytest.mark.parametrize(
    ("changes", "gone", "key", "words"),
    [
        ({"ratings": 499}, NOBODY, "ratings_drop", r"499 ratings after 1,000 \(50% fewer\)"),
        ({}, MissingIds(0.6, 0.0), "users_gone", "60% of the published users gone"),
        ({}, MissingIds(0.0, 0.51), "items_gone", "51% of the published items gone"),
        ({"ratings_spread": Spread(4.1, 1.0)}, NOBODY, "rating_shift", r"from 3\.50 ± 1\.00 to 4\.10 ± 1\.00"),
        ({"ratings_spread": Spread(3.5, 0.1)}, NOBODY, "rating_shift", r"to 3\.50 ± 0\.10 \(0\.90 deviations\)"),
        ({"test_mse": 0.89}, NOBODY, "error_rise", r"0\.8900 of bias after 0\.8000 of bias \(\+11%\)"),
        ({"test_mse": math.nan}, NOBODY, "error_rise", "error_rise: test MSE nan"),
        ({"predictions": {"bias": Spread(3.5, 0.0)}}, NOBODY, "prediction_shift", "predictions of bias moved"),
    ],
)
def test_each_bound_trips_alone_and_can_be_lifted(changes, gone, key, words):
    with pytest.raises(GateRefused, match=words) as caught:
        check(gone, **changes)
    assert f"drift.{key}: " in str(caught.value)
    assert f"--set drift.{key}=null" in str(caught.value)
    assert "version v1 stands" in str(caught.value)
    check(gone, DriftOptions(**{key: None}), **changes)


def test_at_the_bound_passes():
    check(MissingIds(0.5, 0.5), ratings=500, test_mse=0.88, ratings_spread=Spread(4.0, 1.0))


def test_growth_and_improvement_pass():
    check(ratings=100_000, test_mse=0.1)


def test_every_bound_that_trips_is_named():
    with pytest.raises(GateRefused) as caught:
        check(MissingIds(1.0, 1.0), ratings=1)
    assert all(f"drift.{key}" in str(caught.value) for key in ("ratings_drop", "users_gone", "items_gone"))


def test_nothing_is_said_twice():
    moved = {"bias": Spread(3.5, 0.0), "plain": Spread(3.4, 0.0)}
    with pytest.raises(GateRefused) as caught:
        check(MissingIds(1.0, 0.0), predictions=moved)
    message = str(caught.value)
    assert message.count("found") == 1
    assert message.count("--set drift.prediction_shift=null") == 1
    assert "predictions of bias moved" in message
    assert "predictions of plain moved" in message


def test_what_is_not_known_is_not_compared():
    check(ratings_spread=None, test_mse=None, predictions={"other": Spread(0, 0)})


def test_a_batch_without_ratings_hands_on_the_spread_of_the_one_before():
    unread = dataclasses.replace(BEFORE, ratings_spread=None, ratings=7)
    assert unread.after(BEFORE) == dataclasses.replace(BEFORE, ratings=7)
    moved = dataclasses.replace(BEFORE, ratings_spread=Spread(1.0, 1.0))
    assert moved.after(BEFORE) == moved


def test_a_constant_has_no_small_moves():
    assert Spread(3, 0).distance(Spread(3, 0)) == 0
    assert Spread(3, 0).distance(Spread(3.01, 0)) == math.inf


def test_facts_survive_json():
    assert BatchFacts.from_dict(BEFORE.to_dict()) == BEFORE
    unknown = dataclasses.replace(BEFORE, ratings_spread=None, test_mse=None)
    assert BatchFacts.from_dict(unknown.to_dict()) == unknown


@pytest.mark.parametrize(("overlap", "bound"), [(0.0, None), (None, 1.0), (0.5, 0.5), (1.0, 0.9)])
def test_lists_that_share_enough_pass(overlap, bound):
    check_drift(BEFORE, BEFORE, NOBODY, DriftOptions(overlap=bound), "v1", overlap)


def test_lists_that_share_too_little_are_refused():
    words = r"drift\.overlap: the champion's lists share 40% of their items .*at least 50%;.*--set drift\.overlap=null"
    with pytest.raises(GateRefused, match=words):
        check_drift(BEFORE, BEFORE, NOBODY, DriftOptions(overlap=0.5), "v1", 0.4)
