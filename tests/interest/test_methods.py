"""EASE and implicit ALS against their definitions, computed densely."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import recobatch.interest.spectrum
import recobatch.interest_users
from recobatch.interest.ease import ease_part
from recobatch.interest.ials import Ials, ials_part
from recobatch.interest.spectrum import Spectrum
from recobatch.interest_model import Confidence
from recobatch.interest_users import Ridge, solve_users
from recobatch.sparse_rows import SparseRows
from tests.support.rounding import assert_equal_but_rounding
from tests.support.tastes import tastes


def prepared(data, confidence, rank):
    weights = confidence.of(data.rating)
    by_user = SparseRows.of(data.user_index, data.item_index, weights, data.n_users)
    by_item = SparseRows.of(data.item_index, data.user_index, weights, data.n_items)
    dense = np.zeros((data.n_users, data.n_items))
    dense[data.user_index, data.item_index] = weights
    return by_user, by_item, Spectrum.of(by_user, by_item, rank, seed=0), dense


@pytest.mark.parametrize("shape", [(120, 60), (40, 90)])
@pytest.mark.parametrize("penalty", [5.0, 80.0])
def test_ease_is_steck_s_closed_form_where_unrated(shape, penalty):
    by_user, _, spectrum, x = prepared(tastes(*shape), Confidence(1, 5, 4, 0.3), 500)
    part = ease_part(spectrum, by_user.times(spectrum.vectors), penalty)
    inverse = np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    unrated = x == 0
    np.testing.assert_allclose((part.user_factors @ part.item_factors.T)[unrated], (x @ weights)[unrated], atol=2e-4)


def test_the_largest_singular_vectors():
    _, _, spectrum, x = prepared(tastes(), Confidence(1, 5, 4), 10)
    left, values, right = np.linalg.svd(x, full_matrices=False)
    assert spectrum.squared == pytest.approx(values[:10] ** 2, rel=1e-4)
    projected = x @ spectrum.vectors @ spectrum.vectors.T
    best = (left[:, :10] * values[:10]) @ right[:10]
    assert np.linalg.norm(x - projected) < 1.0001 * np.linalg.norm(x - best)


def test_passes_over_the_rows_find_what_the_exact_way_finds(monkeypatch):
    by_user, by_item, exact, x = prepared(tastes(), Confidence(1, 5, 4), 10)
    monkeypatch.setattr(recobatch.interest.spectrum, "LARGEST_EXACT", 0)
    passes = Spectrum.of(by_user, by_item, 10, seed=0)
    assert passes.squared == pytest.approx(exact.squared, rel=2e-2)
    left = np.linalg.norm(x - x @ passes.vectors @ passes.vectors.T)
    assert left < 1.005 * np.linalg.norm(x - x @ exact.vectors @ exact.vectors.T)


@pytest.mark.parametrize("parts", [1, 5])
def test_a_large_gram_matrix_is_one_of_sparse_products(monkeypatch, parts):
    by_user, by_item, dense, _ = prepared(tastes(), Confidence(1, 5, 4), 10)
    module = recobatch.interest.spectrum
    monkeypatch.setattr(module, "_DENSE_PRODUCTS", 0)
    monkeypatch.setattr(module, "_LEAST_PAIRS", len(by_user.columns) // parts)
    monkeypatch.setattr(module, "_approximate", None)
    sparse = Spectrum.of(by_user, by_item, 10, seed=0)
    np.testing.assert_allclose(sparse.squared, dense.squared, rtol=1e-5)
    np.testing.assert_allclose(np.abs(sparse.vectors.T @ dense.vectors), np.eye(10), atol=1e-3)


@given(st.integers(0, 99), st.sampled_from([0.03, 0.5]), st.sampled_from([0.01, 0.3]))
def test_a_user_is_the_ridge_regression_over_all_items(seed, unobserved, regularization):
    rng = np.random.default_rng(seed)
    basis = rng.normal(size=(30, 4)).astype(np.float32)
    items = rng.permutation(30)[: rng.integers(1, 12)]
    weights = rng.uniform(0.1, 1, len(items)).astype(np.float32)
    rows = SparseRows.of(np.zeros(len(items), int), items, weights, 1)
    found = solve_users(rows, basis, Ridge(unobserved, regularization, regularization * unobserved * 30))[0]
    rated = basis[items].astype(float)
    matrix = unobserved * basis.astype(float).T @ basis + (rated.T * weights) @ rated
    matrix += regularization * (len(items) + unobserved * 30) * np.eye(4)
    np.testing.assert_allclose(found, np.linalg.solve(matrix, weights @ rated), atol=2e-4)


def test_more_sweeps_lower_the_loss_of_implicit_als():
    data, confidence = tastes(), Confidence(1, 5, 4)
    by_user, by_item, spectrum, x = prepared(data, confidence, 32)

    def loss(sweeps):
        part = ials_part(by_user, by_item, spectrum, Ials(8, 0.02 * 0.3 * data.n_items, 0.3), sweeps=sweeps)
        scores = part.user_factors.astype(float) @ part.item_factors.T
        sides = (part.user_factors, (x > 0).sum(1), data.n_items), (part.item_factors, (x > 0).sum(0), data.n_users)
        penalty = sum(0.02 * ((counts + 0.3 * others) * np.square(side).sum(1)).sum() for side, counts, others in sides)
        return (x * (1 - scores) ** 2).sum() + 0.3 * (scores**2).sum() + penalty

    losses = [loss(sweeps) for sweeps in (1, 2, 4, 8)]
    assert losses == sorted(losses, reverse=True)


@pytest.fixture
def long_tailed():
    """Rows of 0 to 40 pairs."""
    rng = np.random.default_rng(3)
    row = np.repeat(np.arange(400), np.minimum(rng.geometric(0.12, 400) - 1, 40))
    return SparseRows.of(row, rng.integers(0, 60, len(row)), rng.uniform(0.1, 1, len(row)).astype(np.float32), 400)


@pytest.mark.parametrize("ridge", [Ridge(0.3, 0.02, 5.0), Ridge(0.03, 0.0, 3.0), Ridge(0.1, 0.5, 0.2)])
def test_many_rows_at_once_are_the_rows_one_by_one(monkeypatch, long_tailed, ridge):
    basis = np.random.default_rng(1).normal(size=(60, 12)).astype(np.float32)
    solved, product = solve_users(long_tailed, basis, ridge), long_tailed.times(basis)
    assert 0 < (long_tailed.counts == 0).sum() < (long_tailed.counts >= 12).sum(), "rows of every kind"
    monkeypatch.setattr("recobatch.sparse_rows.MANY_ROWS", 1)
    monkeypatch.setattr("recobatch.sparse_rows._SHORT", 20)
    monkeypatch.setattr("recobatch.interest_users._solve_block", _refuses_short_rows)
    found = solve_users(long_tailed, basis, ridge)
    assert np.abs(found - solved).max() < 2e-6 * np.abs(solved).max()
    np.testing.assert_allclose(long_tailed.times(basis), product, rtol=1e-5, atol=1e-5)
    chosen = np.arange(400) % 3 == 1
    assert_equal_but_rounding(solve_users(long_tailed.take(chosen), basis, ridge), found[chosen])


_solve_block = recobatch.interest_users._solve_block


def _refuses_short_rows(bounds, *given):
    assert (np.diff(bounds) >= 12).all(), "these take a call for each row"
    return _solve_block(bounds, *given)


@pytest.mark.parametrize("pairs", [1, 40])
def test_rows_have_the_same_bits_in_any_division(monkeypatch, pairs):
    data = tastes()
    by_user, by_item, spectrum, _ = prepared(data, Confidence(1, 5, 4), 8)
    whole = ials_part(by_user, by_item, spectrum, Ials(8, 5, 0.3), sweeps=2)
    monkeypatch.setattr("recobatch.interest_users._PAIRS_AT_ONCE", pairs)
    monkeypatch.setattr("recobatch.sparse_rows._PAIRS_FOR_THREADS", 0)
    monkeypatch.setattr("recobatch.sparse_rows._ROWS_PER_CALL", 7)
    divided = ials_part(by_user, by_item, spectrum, Ials(8, 5, 0.3), sweeps=2)
    assert np.array_equal(whole.user_factors, divided.user_factors)
    assert np.array_equal(whole.item_factors, divided.item_factors)
