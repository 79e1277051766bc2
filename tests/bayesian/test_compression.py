"""The mean of many products as one of small rank."""

import numpy as np
import pytest

from recobatch.bayesian.columns import combined, gram
from recobatch.bayesian.compression import RunningProduct, _held
from recobatch.bayesian.threads import Threads, threads

ALONE = Threads(None)


def noisy_products(n_users, n_items, n_products):
    """Samples around one product, as those of a posterior."""
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(n_users, 3)), rng.normal(size=(n_items, 3))
    for _ in range(n_products):
        yield tuple((each + 0.2 * rng.normal(size=each.shape)).astype(np.float32) for each in (users, items))


def test_parts_side_by_side_are_one_matrix():
    rng = np.random.default_rng(1)
    parts = [rng.normal(size=(5000, width)).astype(np.float32) for width in (2, 0, 3)]
    whole, matrix = np.hstack(parts), rng.normal(size=(5, 4))
    with threads(3) as several:
        for pool in (ALONE, several):
            np.testing.assert_allclose(gram(parts, pool), whole.T.astype(float) @ whole, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(combined(parts, matrix, pool), whole @ matrix, atol=1e-4)
        np.testing.assert_array_equal(gram(parts, ALONE), gram(parts, several))


@pytest.mark.parametrize("held", [512, 12])
def test_the_largest_move_is_measured_on_the_mean_of_all_products(held):
    """Also of what was dropped on the way, where many products do not fit into the columns that are held."""
    product, exact = RunningProduct(40, 30, ALONE, held), np.zeros((40, 30))
    for users, items in noisy_products(40, 30, 25):
        product.add(users, items)
        exact += users.astype(float) @ items.T / 25
    mean = product.mean()
    moves = np.abs(mean.users.astype(float) @ mean.items.T - exact)
    assert mean.largest_move == pytest.approx(moves.max(), rel=1e-3)
    assert (mean.largest_move > 0.005) == (held == 12)
    np.testing.assert_allclose(mean.items.T @ mean.items, np.eye(mean.rank), atol=1e-5)


@pytest.mark.parametrize(
    ("n_users", "n_items", "held"), [(6_000, 4_000, 512), (162_541, 59_047, 1024), (10**6, 2_000, 512)]
)
def test_more_columns_are_kept_of_many_users_whose_columns_fit_in_memory(n_users, n_items, held):
    assert _held(n_users + n_items) == held


def test_noise_that_takes_more_columns_gets_them(monkeypatch):
    """Samples that have little in common, as those of users with few ratings."""
    monkeypatch.setattr("recobatch.bayesian.compression._MANY_ROWS", 1000)
    rng, product = np.random.default_rng(0), RunningProduct(900, 800, ALONE)
    for _ in range(70):
        product.add(*(0.3 * rng.normal(size=(n, 16)).astype(np.float32) for n in (900, 800)))
    mean = product.mean()
    assert mean.rank > 640
    assert mean.largest_move <= 0.005
