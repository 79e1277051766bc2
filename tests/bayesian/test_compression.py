"""The mean of many products as one of small rank."""

import numpy as np
import pytest

from recobatch.bayesian.columns import combined, gram
from recobatch.bayesian.compression import LARGEST_MOVE, MeanProduct, most_samples
from recobatch.bayesian.threads import Threads, threads

ALONE = Threads(None)


def noisy_products(n_users, n_items, n_products, noise):
    """Samples around one product, as those of a posterior."""
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(n_users, 3)), rng.normal(size=(n_items, 3))
    for _ in range(n_products):
        yield tuple((each + noise * rng.normal(size=each.shape)).astype(np.float32) for each in (users, items))


def test_parts_side_by_side_are_one_matrix():
    rng = np.random.default_rng(1)
    parts = [rng.normal(size=(5000, width)).astype(np.float32) for width in (2, 0, 3)]
    whole, matrix = np.hstack(parts), rng.normal(size=(5, 4))
    with threads(3) as several:
        for pool in (ALONE, several):
            np.testing.assert_allclose(gram(parts, pool), whole.T.astype(float) @ whole, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(combined(parts, matrix, pool), whole @ matrix, atol=1e-4)
        np.testing.assert_array_equal(gram(parts, ALONE), gram(parts, several))


@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_the_mean_has_the_smallest_rank_that_moves_nothing_far(noise):
    """Samples that have little in common, as those of users with few ratings, take more columns."""
    product, exact = MeanProduct(ALONE), np.zeros((90, 80))
    for users, items in noisy_products(90, 80, 25, noise):
        product.add(users, items)
        exact += users.astype(float) @ items.T / 25
    mean = product.compressed()
    moves = np.abs(mean.users.astype(float) @ mean.items.T - exact)
    assert mean.largest_move == pytest.approx(moves.max(), rel=1e-2)
    assert mean.rms_move == pytest.approx(np.sqrt((moves**2).mean()), rel=1e-2)
    assert moves.max() <= LARGEST_MOVE
    assert (mean.rank < 20) == (noise == 0.02)
    np.testing.assert_allclose(mean.items.T @ mean.items, np.eye(mean.rank), atol=1e-5)


@pytest.mark.parametrize(
    ("n_rows", "n_factors", "samples"),
    [(2_625, 8, 128), (221_588, 16, 64), (1_002_000, 16, 33), (50_000_000, 16, 32), (9_000, 256, 16)],
)
def test_as_many_samples_are_kept_as_have_a_thousand_columns_that_fit_in_memory(n_rows, n_factors, samples):
    assert most_samples(n_rows, n_factors) == samples
