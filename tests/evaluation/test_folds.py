"""Folds: disjoint, blind to what comes later, and the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.errors import BadRatings
from recobatch.evaluation.folds import FoldOptions, as_day, make_folds
from recobatch.interactions import EncodedInteractions

DAY = 86_400


def ratings_at(times, n_users=7, n_items=11):
    n = len(times)
    return EncodedInteractions(
        (np.arange(n) % n_users).astype(np.int32), (np.arange(n) % n_items).astype(np.int32),
        np.ones(n, np.float32), np.asarray(times, np.int64), n_users, n_items,
    )  # fmt: skip


@given(st.integers(2, 6), st.integers(20, 90), st.integers(0, 3))
def test_k_folds_test_every_rating_once(number, n, seed):
    ratings = ratings_at([-1] * n)
    folds = make_folds(ratings, FoldOptions(method="folds", number=number), seed=seed)
    assert np.sort(np.concatenate([fold.test_rows for fold in folds])).tolist() == list(range(n))
    for fold in folds:
        assert np.sort(np.concatenate([fold.train_rows, fold.test_rows])).tolist() == list(range(n))
        by_user = np.bincount(ratings.user_index[fold.test_rows], minlength=7)
        size = np.bincount(ratings.user_index, minlength=7)
        assert (np.abs(by_user - size / number) < 1).all()


@given(st.integers(1, 4), st.floats(0.1, 0.5), st.integers(0, 3))
def test_repeats_hold_out_a_share_of_every_user(number, fraction, seed):
    ratings = ratings_at([-1] * 140)
    options = FoldOptions(method="repeats", number=number, test_fraction=fraction)
    folds = make_folds(ratings, options, seed=seed)
    for fold in folds:
        held = np.bincount(ratings.user_index[fold.test_rows], minlength=7)
        assert (held == 20 - np.round(20 * (1 - fraction))).all()
        assert not set(fold.train_rows) & set(fold.test_rows)
    again = make_folds(ratings, options, seed=seed)
    assert [fold.test_rows.tolist() for fold in again] == [fold.test_rows.tolist() for fold in folds]
    assert len({tuple(fold.test_rows) for fold in folds}) == number


@given(st.lists(st.integers(-1, 400), min_size=60, max_size=120), st.integers(1, 4))
def test_windows_train_on_the_past_alone(times, number):
    ratings = ratings_at([time if time < 0 else time * DAY for time in times])
    try:
        folds = make_folds(ratings, FoldOptions(method="windows", number=number), seed=0)
    except BadRatings:
        return
    for before, fold in zip([None, *folds[:-1]], folds, strict=True):
        assert ratings.timestamp[fold.train_rows].max() < ratings.timestamp[fold.test_rows].min() == fold.since
        if before is not None:
            assert before.until < fold.since
            assert set(fold.train_rows) == set(before.train_rows) | set(before.test_rows)
    assert folds[-1].until == ratings.timestamp.max()


def test_windows_of_days_end_with_the_newest_rating():
    folds = make_folds(
        ratings_at(np.arange(100) * DAY), FoldOptions(method="windows", number=3, horizon_days=10), seed=0
    )
    assert [fold.test_rows.tolist() for fold in folds] == [list(range(first, first + 10)) for first in (70, 80, 90)]
    assert [len(fold.train_rows) for fold in folds] == [70, 80, 90]
    assert [as_day(fold.since) for fold in folds] == ["1970-03-12", "1970-03-22", "1970-04-01"]


@pytest.mark.parametrize(
    ("times", "options", "words"),
    [
        ([-1] * 50, FoldOptions(method="windows"), "windows: found 0 different times among 50 ratings"),
        ([5] * 50, FoldOptions(method="windows"), "found 1 different times"),
        (np.arange(50) * DAY, FoldOptions(method="windows", number=5, horizon_days=99), "window-1: found 0 training"),
        ([-1] * 3, FoldOptions(method="folds", number=5), "expected at least one of each; give more ratings"),
    ],
)
def test_folds_that_cannot_be_are_refused(times, options, words):
    with pytest.raises(BadRatings, match=words):
        make_folds(ratings_at(times), options, seed=0)


def test_the_method_suits_the_ratings_unless_named():
    timed, untimed = ratings_at(np.arange(50)), ratings_at([-1] * 50)
    assert FoldOptions().for_ratings(timed).method == "windows"
    assert FoldOptions().for_ratings(untimed).method == "folds"
    assert FoldOptions(method="repeats").for_ratings(timed).method == "repeats"
    shares = {method: FoldOptions(method=method).test_share for method in ("windows", "repeats", "folds")}
    assert shares == {"windows": None, "repeats": 0.25, "folds": 0.25}
