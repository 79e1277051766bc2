"""The fast ranking is the plain one, whatever ties or is no number."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recobatch.scoring.ranking import best_candidates, kth_best, rank_candidates
from tests.support.brute_force import best_unseen


def rank_all(scores, rated, k):
    scores = np.where(rated, np.float32(-np.inf), scores)
    rows, places = best_candidates(scores, kth_best(scores, k))
    chosen, ranks = rank_candidates(rows, scores.ravel()[places], k)
    items, found = places - rows * scores.shape[1], scores.ravel()[places]
    return list(zip(*(c.tolist() for c in (rows[chosen], ranks, items[chosen], found[chosen])), strict=True))


@given(
    seed=st.integers(0, 2**32 - 1), shape=st.tuples(st.integers(1, 9), st.integers(1, 40)), k=st.integers(1, 45),
    distinct=st.sampled_from([2, 5, 1000]), spread=st.sampled_from([0.01, 1.0, 30.0, 1e4]), seen=st.floats(0, 1),
)  # fmt: skip
def test_ranks_like_a_brute_force(seed, shape, k, distinct, spread, seen):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(-distinct, distinct, shape) / distinct * spread).astype(np.float32)
    scores += (rng.normal(size=shape) * rng.choice([0, 1e-7, 1e-5])).astype(np.float32)
    rated = rng.random(shape) < seen
    assert rank_all(scores, rated, k) == best_unseen(scores, rated, k)


def test_scores_that_are_no_number_are_never_chosen():
    scores = np.array([[np.nan, 2, np.nan, 1, -np.inf], [3, np.nan, 1, 2, 0]], dtype=np.float32)
    for k in (1, 2, 3, 4, 5, 9):
        ranked = rank_all(scores.copy(), np.zeros((2, 5), bool), k)
        assert [item for row, _, item, _ in ranked if row == 0] == [1, 3][:k]
        assert [item for row, _, item, _ in ranked if row == 1] == [0, 3, 2, 4][:k]


def test_minus_zero_ties_with_zero():
    scores = np.array([[0.0, -0.0, 0.0, -1.0]], dtype=np.float32)
    assert [item for _, _, item, _ in rank_all(scores, np.zeros((1, 4), bool), 3)] == [0, 1, 2]


def test_nobody_has_anything_left():
    scores, rated = np.zeros((3, 4), dtype=np.float32), np.ones((3, 4), bool)
    assert rank_all(scores, rated, 2) == []


def test_few_candidates_are_not_among_the_best():
    scores = np.random.default_rng(3).normal(size=(50, 4000)).astype(np.float32)
    rows, _ = best_candidates(scores, kth_best(scores, 100))
    assert 5000 <= len(rows) < 6000
