"""The kernel gives what the model gives, and the same bits whichever way the users are cut."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info

from recobatch.blas import one_blas_thread
from recobatch.factors import Link
from recobatch.scoring.kernel import BLOCK_USERS, ScoringKernel
from tests.support.small_table import make_model

MODEL = make_model(161, 37)
WHOLE = ScoringKernel.of(MODEL).predict(slice(0, 161))


@pytest.mark.parametrize("link", list(Link))
def test_equals_the_model_pair_by_pair(link):
    model = make_model(61, 37, link=link)
    users, items = np.divmod(np.arange(61 * 37), 37)
    block = ScoringKernel.of(model).predict(slice(0, 61))
    assert block.dtype == np.float32
    np.testing.assert_allclose(block.ravel(), model.predict_pairs(users, items), atol=1e-5)


@given(st.integers(0, 160), st.integers(1, 161))
def test_the_bits_do_not_depend_on_the_range(start, length):
    stop = min(161, start + length)
    assert np.array_equal(ScoringKernel.of(MODEL).predict(slice(start, stop)), WHOLE[start:stop])


@given(st.integers(0, 160), st.integers(1, 161), st.integers(1, 170))
def test_parts_are_the_range_and_no_product_is_computed_twice(start, length, most):
    stop, kernel, products = min(161, start + length), ScoringKernel.of(MODEL), []
    with patch.object(ScoringKernel, "_fold", autospec=True, side_effect=ScoringKernel._fold) as fold:
        parts = list(kernel.predict_parts(slice(start, stop), most))
    for call in fold.call_args_list:
        products.extend(range(call.args[1].start // BLOCK_USERS, -(-call.args[1].stop // BLOCK_USERS)))
    assert len(products) == len(set(products))
    assert [user for part, _ in parts for user in range(part.start, part.stop)] == list(range(start, stop))
    assert all(len(predictions) <= most for _, predictions in parts)
    assert np.array_equal(np.concatenate([predictions for _, predictions in parts]), WHOLE[start:stop])


def test_checkerboard_of_rank_two():
    sign = np.array([1, -1], dtype=np.float32)[np.arange(10) % 2]
    zeros = np.zeros(10, dtype=np.float32)
    two = np.stack([sign, np.ones(10, dtype=np.float32)], axis=1)
    model = replace(make_model(10, 10), user_factors=two, item_factors=two * [[1, 2]], user_bias=zeros, item_bias=zeros,
                    global_bias=0.0, link=Link.IDENTITY)  # fmt: skip
    assert np.array_equal(ScoringKernel.of(model).predict(slice(0, 10)), 2 + np.outer(sign, sign))


def test_the_identity_clips_to_the_rating_range_and_only_where_there_is_one():
    model = make_model(61, 37, link=Link.IDENTITY)
    free = replace(model, min_rating=0.0, max_rating=0.0)
    users, items = np.divmod(np.arange(61 * 37), 37)
    raw, clipped = (ScoringKernel.of(each).predict(slice(0, 61)) for each in (free, model))
    assert raw.min() < 1
    assert (clipped.min(), clipped.dtype) == (1, np.float32)
    assert np.array_equal(clipped, np.clip(raw, np.float32(1), np.float32(5)))
    pairs = free.predict_pairs(users, items)
    assert np.array_equal(model.predict_pairs(users, items), np.clip(pairs, np.float32(1), np.float32(5)))


def test_extreme_scores_saturate_without_a_warning():
    model = replace(make_model(3, 2), global_bias=0.0, user_bias=np.array([1e4, -1e4, 0], dtype=np.float32))
    block = ScoringKernel.of(model).predict(slice(0, 3))
    assert (block[0] == 5).all()
    assert (block[1] == 1).all()


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_blas_threads_are_limited_while_anyone_scores_and_restored_after():
    before = blas_threads()
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(blas_threads()) == {1}, "the second user still counts on one thread"
    second.__exit__(None, None, None)
    assert blas_threads() == before


def test_the_limit_holds_in_any_thread_whoever_set_it():
    """A limit set in one thread and lifted in another is ignored by threadpoolctl without a word."""

    def inside(_):
        with one_blas_thread():
            return blas_threads()

    before = blas_threads()
    inside(None)
    with ThreadPoolExecutor(4) as pool:
        assert {count for counts in pool.map(inside, range(40)) for count in counts} == {1}
    assert inside(None) == [1] * len(before)
    assert blas_threads() == before


def test_threads_at_once_give_the_same_bits():
    kernel = ScoringKernel.of(make_model(400, 900, n_factors=64))
    with one_blas_thread():
        whole = kernel.predict(slice(0, 400))

    def part(start):
        with one_blas_thread():
            return kernel.predict(slice(start, start + 40))

    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(part, range(0, 400, 40)))
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_child_forked_in_the_middle_of_scoring_scores_on_its_own():
    """The thread that holds the limit stays behind in the parent; the child must not wait for it."""
    kernel = ScoringKernel.of(make_model(40, 90))
    with one_blas_thread():
        whole = kernel.predict(slice(0, 40))
        if (child := os.fork()) == 0:  # pragma: no cover - in the child
            with one_blas_thread():
                same = np.array_equal(kernel.predict(slice(0, 40)), whole)
            os._exit(0 if same else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
