"""Lists by prediction, interest and both, against a brute force over all pairs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.blas import one_blas_thread
from recobatch.errors import BadTable
from recobatch.factors import FactorModel, Link
from recobatch.scoring.kernel import ScoringKernel
from recobatch.scoring.lists import top_lists
from recobatch.scoring.predictions import score_block
from recobatch.scoring.product import ProductScore
from recobatch.scoring.ranker import Ranker
from tests.support.brute_force import best_unseen
from tests.support.small_table import make_model, make_rated

pytestmark = pytest.mark.slow


def raw_scores(model, at_once=None):
    everyone = slice(0, model.n_users)
    with one_blas_thread():
        return np.concatenate([block.copy() for _, block in ScoringKernel.of(model).scores(everyone, at_once=at_once)])


def interest_of(n_users, n_items, shift=0.0, seed=5):
    model = make_model(n_users, n_items, seed=seed, link=Link.IDENTITY)
    return replace(
        model, min_rating=0.0, max_rating=0.0, global_bias=0.0, item_bias=model.item_bias + np.float32(shift)
    )


def expected_scores(rating, interest, rank_by):
    if rank_by == "prediction":
        return raw_scores(rating)
    taken, raw = raw_scores(interest, at_once=512), raw_scores(rating)
    if rank_by == "interest":
        return taken
    low, span = np.float32(rating.min_rating), np.float32(rating.max_rating) - np.float32(rating.min_rating)
    if rating.link is Link.SCALED_SIGMOID:
        above = taken / (np.exp(-raw) + np.float32(1)) * span
    else:
        above = taken * (np.clip(raw, low, np.float32(rating.max_rating)) - low)
    return np.where(taken < 0, taken * span, above)


@pytest.mark.parametrize("link", list(Link))
@pytest.mark.parametrize("rank_by", ["prediction", "interest", "product"])
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 40)), k=st.integers(1, 45),
    shift=st.sampled_from([-3.0, 0.0, 3.0]), share=st.floats(0, 1), seed=st.integers(0, 99),
)  # fmt: skip
def test_ranks_like_a_brute_force(rank_by, link, shape, k, shift, share, seed):
    rating, rated = make_model(*shape, link=link, seed=seed), make_rated(*shape, share=share, seed=seed)
    interest = interest_of(*shape, shift=shift)
    with one_blas_thread():
        found = Ranker.of(rating, interest, rank_by).best(slice(0, shape[0]), rated, k)
    scores, seen = expected_scores(rating, interest, rank_by), rated.mask(slice(0, shape[0]))
    expected = best_unseen(scores, seen, k)
    columns = found.user_index, found.rank, found.item_index
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == [row[:3] for row in expected]
    assert [float(row[3]) for row in expected] == found.score.tolist()
    table = score_block(rating, slice(0, shape[0]))
    assert np.array_equal(found.prediction, table[found.user_index, found.item_index])


@pytest.mark.parametrize("has_memory", [True, False])
@pytest.mark.parametrize("link", list(Link))
def test_the_products_of_many_items_are_found_without_computing_all(monkeypatch, link, has_memory):
    computed, of_all = [], ProductScore._of_all
    monkeypatch.setattr(ProductScore, "_of_all", lambda *given: computed.append(len(given[1])) or of_all(*given))
    if not has_memory:
        monkeypatch.setattr("recobatch.scoring.pruning._instantiate", lambda size: None)
    rating, rated = make_model(70, 4200, link=link), make_rated(70, 4200, share=0.3)
    interest, k = interest_of(70, 4200, shift=1.0), 9 if has_memory else 10  # a thread keeps its memory for one k
    with one_blas_thread():
        found = Ranker.of(rating, interest, "product").best(slice(0, 70), rated, k)
    assert sum(computed) <= 2 if has_memory else computed == [64, 6]
    scores, seen = expected_scores(rating, interest, "product"), rated.mask(slice(0, 70))
    columns = found.user_index, found.rank, found.item_index, found.score
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == best_unseen(scores, seen, k)


@pytest.mark.parametrize("link", list(Link))
def test_the_score_is_interest_times_the_prediction_above_the_lowest_rating(link):
    rating, interest = make_model(300, 40, link=link), interest_of(300, 40, shift=9.0)
    with one_blas_thread():
        found = Ranker.of(rating, interest, "product").best(slice(0, 300), make_rated(300, 40), 9)
    taken = interest.predict_pairs(found.user_index, found.item_index)
    assert found.score == pytest.approx(taken * (found.prediction - rating.min_rating), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("most", [1 << 24, 1 << 13])
def test_many_items_take_fewer_users_at_once(monkeypatch, most):
    monkeypatch.setattr("recobatch.scoring.ranker._MOST_SCORES", most)
    rating, interest, rated = make_model(600, 60), interest_of(600, 60), make_rated(600, 60)
    found = top_lists(Ranker.of(rating, interest, "product"), rated, 9)
    expected = best_unseen(expected_scores(rating, interest, "product"), rated.mask(slice(0, 600)), 9)
    assert found.ravel().tolist() == [row[2] for row in expected]


def test_equal_clipped_predictions_keep_the_order_of_their_raw_scores():
    zeros = np.zeros((1, 1), np.float32), np.zeros((4, 1), np.float32)
    bias = np.array([6, 9, 7, 2], np.float32)
    model = FactorModel(*zeros, zeros[0][:, 0], bias, 0.0, Link.IDENTITY, 1.0, 5.0)
    with one_blas_thread():
        found = Ranker.of(model).best(slice(0, 1), make_rated(1, 4, share=0.0), 4)
    assert found.item_index.tolist() == [1, 2, 0, 3]
    assert found.prediction.tolist() == [5, 5, 5, 2]


def test_lists_do_not_depend_on_the_division_of_users():
    rating, interest, rated = make_model(700, 60), interest_of(700, 60), make_rated(700, 60, share=0.9)
    ranker = Ranker.of(rating, interest, "product")
    lists = top_lists(ranker, rated, 9)
    for user in (0, 17, 511, 512, 699):
        with one_blas_thread():
            found = ranker.best(slice(user, user + 1), rated, 9).item_index.tolist()
        assert lists[user].tolist() == found + [-1] * (9 - len(found))


def test_models_that_do_not_belong_together():
    rating = make_model(4, 3)
    with pytest.raises(BadTable, match=r"found 'product' and no interest model, .*top\.rank_by=prediction"):
        Ranker.of(rating, None, "product")
    with pytest.raises(BadTable, match=r"found 5 users and 3 items, expected 4 and 3"):
        Ranker.of(rating, interest_of(5, 3), "interest")
    with pytest.raises(BadTable, match=r"found no rating range, .*top\.rank_by=interest"):
        Ranker.of(replace(rating, max_rating=1.0), interest_of(4, 3), "product")
