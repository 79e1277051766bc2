"""The fast ranking is the plain one, whatever ties, saturates or is no number."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.factors import Link
from recobatch.scoring.ranking import best_candidates, rank_candidates
from tests.support.brute_force import best_unseen
from tests.support.small_table import make_model

RANGES = [(1.0, 5.0), (0.5, 10.0), (-3.0, 4.0), (0.0, 100.0), (1000.0, 1001.0), (3.0, 3.0)]


def rank_all(scores, rated, k, model):
    scores = np.where(rated, np.float32(-np.inf), scores)
    rows, items, raw = best_candidates(scores, k, model)
    with np.errstate(over="ignore"):
        predictions = replace(model, global_bias=0.0).apply_link(raw)
    return list(zip(*(column.tolist() for column in rank_candidates(rows, items, predictions, k)), strict=True))


@given(
    seed=st.integers(0, 2**32 - 1), shape=st.tuples(st.integers(1, 9), st.integers(1, 40)), k=st.integers(1, 45),
    distinct=st.sampled_from([2, 5, 1000]), spread=st.sampled_from([0.01, 1.0, 8.0, 30.0, 1e4]),
    link=st.sampled_from(list(Link)), limits=st.sampled_from(RANGES), seen=st.floats(0, 1),
)  # fmt: skip
def test_ranks_like_a_brute_force_over_the_predictions(seed, shape, k, distinct, spread, link, limits, seen):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(-distinct, distinct, shape) / distinct * spread).astype(np.float32)
    scores += (rng.normal(size=shape) * rng.choice([0, 1e-7, 1e-5])).astype(np.float32)
    rated = rng.random(shape) < seen
    model = replace(make_model(*shape, link=link), min_rating=limits[0], max_rating=limits[1], global_bias=0.0)
    with np.errstate(over="ignore"):
        predictions = model.apply_link(scores.copy())
    assert rank_all(scores, rated, k, model) == best_unseen(predictions, rated, k)


@pytest.mark.parametrize("link", list(Link))
def test_scores_that_are_no_number_are_never_chosen(link):
    scores = np.array([[np.nan, 2, np.nan, 1, -np.inf], [3, np.nan, 1, 2, 0]], dtype=np.float32)
    for k in (1, 2, 3, 4, 5, 9):
        ranked = rank_all(scores.copy(), np.zeros((2, 5), bool), k, make_model(2, 5, link=link))
        assert [item for row, _, item, _ in ranked if row == 0] == [1, 3][:k]
        assert [item for row, _, item, _ in ranked if row == 1] == [0, 3, 2, 4][:k]


def test_minus_zero_ties_with_zero():
    scores = np.array([[0.0, -0.0, 0.0, -1.0]], dtype=np.float32)
    ranked = rank_all(scores, np.zeros((1, 4), bool), 3, make_model(1, 4, link=Link.IDENTITY))
    assert [item for _, _, item, _ in ranked] == [0, 1, 2]


def test_nobody_has_anything_left():
    scores, rated = np.zeros((3, 4), dtype=np.float32), np.ones((3, 4), bool)
    assert rank_all(scores, rated, 2, make_model(3, 4)) == []


def test_few_candidates_are_not_among_the_best():
    scores = np.random.default_rng(3).normal(size=(50, 4000)).astype(np.float32)
    straight, _, _ = best_candidates(scores, 100, make_model(50, 4000, link=Link.IDENTITY))
    assert 5000 <= len(straight) < 5600
    steep, _, _ = best_candidates(scores, 100, make_model(50, 4000))
    assert len(straight) <= len(steep) < 1.02 * len(straight)
