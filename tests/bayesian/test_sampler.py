"""The sampler against known posteriors."""

import numpy as np
import pytest

from recobatch.bayesian.chain import Chain
from recobatch.bayesian.designs import Intercept, Sparse, Spectral, Weights, design_of
from recobatch.bayesian.priors import Priors
from recobatch.bayesian.rows import Rows
from recobatch.bayesian.side import Side
from recobatch.bayesian.statistics import row_statistics
from recobatch.bayesian.threads import Threads
from recobatch.features import FeatureBlock
from recobatch.lanes import solve_and_sample

ALONE = Threads(None)


def block_of(matrix):
    rows, columns = np.nonzero(matrix)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(matrix)))))
    values = matrix[rows, columns].astype(np.float32)
    return FeatureBlock("x", indptr, columns.astype(np.int32), values, n_features=matrix.shape[1])


def test_many_small_systems_are_those_of_lapack():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(50, 6, 9))
    system, right, noise = half @ half.transpose(0, 2, 1), rng.normal(size=(50, 6)), rng.normal(size=(50, 6))
    lanes = np.ascontiguousarray(system.transpose(1, 2, 0))
    mean, drawn = solve_and_sample(lanes, right.T.copy(), noise.T.copy())
    np.testing.assert_allclose(mean.T, np.linalg.solve(system, right[..., None])[..., 0], rtol=1e-8)
    lower = np.linalg.cholesky(system)
    np.testing.assert_allclose((drawn - mean).T, np.linalg.solve(lower.transpose(0, 2, 1), noise[..., None])[..., 0])


def test_statistics_are_sums_over_the_ratings():
    rng = np.random.default_rng(1)
    user, item = np.nonzero(rng.random((9, 7)) < 0.6)
    rating, other = rng.normal(size=len(user)), rng.normal(size=(7, 4)).astype(np.float32)
    precision, weights = rng.uniform(1, 3, 9), rng.uniform(0.5, 2, 7)
    found = row_statistics(Rows.build(user, item, rating, (9, 7)), other, precision, weights, ALONE)
    lines = np.hstack([other[:, :-1], np.ones((7, 1))])
    for row in range(9):
        q, left = lines[item[user == row]], (rating - other[item, -1])[user == row]
        weighed = q.T * precision[row] * weights[item[user == row]]
        np.testing.assert_allclose(found.gram[row], weighed @ q, atol=1e-4)
        np.testing.assert_allclose(found.right[row], weighed @ left, atol=1e-4)
        assert found.squares[row] == pytest.approx(precision[row] * weights[item[user == row]] @ left**2, rel=1e-4)


@pytest.mark.slow
def test_vectors_follow_the_closed_form():
    """Given the other side and the prior, a row's vector is normal with a known mean and covariance."""
    rng = np.random.default_rng(2)
    other = rng.normal(size=(6, 3)).astype(np.float32)
    rating, items = rng.normal(size=6), np.arange(6)
    ratings = Rows.build(np.zeros(6, int), items, rating, (1, 6))
    precision = np.array([2.0, 0.5, 4.0])
    side = Side(ratings, [Intercept(1)], np.zeros((1, 3), np.float32), precision, [], [np.ones((1, 3), np.float32)])
    lines = np.hstack([other[:, :-1], np.ones((6, 1))])
    covariance = np.linalg.inv(1.7 * lines.T @ lines + np.diag(precision))
    mean = covariance @ (1.7 * lines.T @ (rating - other[:, -1]) + precision)
    draws = np.empty((4000, 3))
    found = row_statistics(ratings, other, np.array([1.7]), np.ones(6), ALONE)
    for each in draws:
        errors = side._draw_vectors(found, np.ones((1, 3), np.float32), rng, ALONE)
        each[:] = side.vectors[0]
    np.testing.assert_allclose(side.expected[0], mean, rtol=1e-4)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * sd.max() / np.sqrt(len(draws)))
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.12 * sd.max() ** 2)
    error = rating - other[:, -1] - lines @ draws[-1]
    assert errors[0] == pytest.approx(1.7 * error @ error, rel=1e-3)


@pytest.mark.long
@pytest.mark.parametrize("design", [Spectral, Sparse])
@pytest.mark.parametrize("shape", [(30, 5), (5, 30)])
def test_weights_follow_the_closed_form_of_ridge_regression(design, shape, monkeypatch):
    monkeypatch.setattr("recobatch.bayesian.designs._CG_STEPS", 40)
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=shape) * (rng.random(shape) < 0.7)
    target = rng.normal(size=(shape[0], 2)).astype(np.float32)
    noise, prior = np.array([3.0, 0.8]), np.array([1.0, 6.0])
    found = design(block_of(matrix))
    before = Weights(np.zeros((found.n_coordinates, 2), np.float32), np.zeros_like(target))
    draws = np.array([
        found.draw(target, noise, prior, before, rng, ALONE).product for _ in range(3000)
    ])  # fmt: skip
    for column in range(2):
        inner = np.linalg.inv(noise[column] * matrix.T @ matrix + prior[column] * np.eye(shape[1]))
        covariance = matrix @ inner @ matrix.T
        mean = noise[column] * covariance @ target[:, column]
        np.testing.assert_allclose(draws[..., column].mean(axis=0), mean, atol=0.06 * np.sqrt(covariance.max() + 1))
        np.testing.assert_allclose(np.cov(draws[..., column].T), covariance, atol=0.1 * covariance.max())


@pytest.mark.parametrize("design", [Spectral, Sparse])
def test_weights_are_those_of_the_features(design):
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(8, 12))
    found = design(block_of(matrix))
    coordinates = rng.normal(size=(found.n_coordinates, 2)).astype(np.float32)
    np.testing.assert_allclose(matrix @ found.weights(coordinates), found.forward(coordinates, ALONE), atol=1e-4)
    again = found.coordinates(found.weights(coordinates))
    np.testing.assert_allclose(found.forward(again, ALONE), found.forward(coordinates, ALONE), atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "design"), [((943, 1682), Spectral), ((3000, 3000), Sparse), ((1_000_000, 2000), Sparse)]
)
def test_a_block_is_decomposed_if_it_is_small(shape, design):
    """Of a million users and a small catalogue, a dense matrix would have 16 GB."""
    indptr = np.append(np.zeros(shape[0], int), 1)
    block = FeatureBlock("x", indptr, np.zeros(1, np.int32), np.ones(1, np.float32), (), shape[1])
    assert isinstance(design_of(block), design)


PRIORS = Priors(shape=6.0, rate=6.0)
USER, ITEM = (each.ravel() for each in np.indices((3, 4)))
FEATURES = (
    np.array([[1.0, 0, 0, 1], [0, 1, 0.5, 0], [0.7, 0, 0, 0]]),
    np.array([[1.0, 0], [0, 1], [1, 1], [0, 0.5]]),
)


def prior_draw(rng):
    """All parameters from their prior, as a chain without ratings."""
    sides = []
    for (n, m), matrix in zip(((3, 4), (4, 3)), FEATURES, strict=True):
        designs = [Intercept(n), Spectral(block_of(matrix))]
        precision, block = (rng.gamma(PRIORS.shape, 1 / PRIORS.rate, 2) for _ in range(2))
        coordinates = [
            (rng.normal(size=(design.n_coordinates, 2)) / np.sqrt(each)).astype(np.float32)
            for design, each in zip(designs, (PRIORS.strength * precision, block), strict=True)
        ]
        mean = sum(design.forward(each, ALONE) for design, each in zip(designs, coordinates, strict=True))
        vectors = (mean + rng.normal(size=(n, 2)) / np.sqrt(precision)).astype(np.float32)
        empty = Rows.build(np.zeros(0, int), np.zeros(0, int), np.zeros(0), (n, m))
        sides.append(Side(empty, designs, vectors, precision, [block], coordinates))
        sides[-1].noise_weights = rng.gamma(PRIORS.noise_degrees / 2, 2 / PRIORS.noise_degrees, n)
    alpha = float(rng.gamma(PRIORS.shape, 1 / PRIORS.rate))
    return Chain(sides[0], sides[1], alpha, rng, PRIORS)


def draw_ratings(chain, rng):
    users, items = chain.users.vectors, chain.items.vectors
    mean = users[USER, 0] * items[ITEM, 0] + users[USER, 1] + items[ITEM, 1]
    weights = chain.users.noise_weights[USER] * chain.items.noise_weights[ITEM]
    rating = mean + rng.normal(size=len(USER)) / np.sqrt(chain.alpha * weights)
    chain.users.ratings = Rows.build(USER, ITEM, rating, (3, 4))
    chain.items.ratings = Rows.build(ITEM, USER, rating, (4, 3))


def moments(chain):
    sides = chain.users, chain.items
    return [
        np.log(chain.alpha), *(float(np.log(side.noise_weights).mean()) for side in sides),
        *(float(np.log(side.noise_weights[0])) for side in sides), *(np.log(side.precision).sum() for side in sides),
        *(np.log(side.block_precision[0]).sum() for side in sides),
        *(np.log(side.block_precision[0][1]) for side in sides),
        *(float(np.mean(side.vectors[:, 0])) for side in sides),
        *(float(np.mean(side.vectors[:, 1])) for side in sides),
        *(float(np.log(np.mean(side.vectors**2))) for side in sides),
        *(float(np.log(np.mean(side.coordinates[1] ** 2))) for side in sides),
        float(np.mean(chain.users.vectors[:, 0]) * np.mean(chain.items.vectors[:, 0])),
        float(np.tanh(chain.users.vectors[0, 1] * chain.items.vectors[0, 1])),
    ]  # fmt: skip


@pytest.mark.long
def test_joint_distribution_is_that_of_the_model():
    """Geweke, "Getting it right: joint distribution tests of posterior simulators", JASA 99, 2004.

    Sweeps that alternate with new ratings must leave the prior as it is.
    """
    rng = np.random.default_rng(5)
    independent = np.array([moments(prior_draw(rng)) for _ in range(4000)])
    chain, n_sweeps, n_batches = prior_draw(rng), 9000, 45
    successive = []
    for _ in range(n_sweeps):
        draw_ratings(chain, rng)
        chain.sweep(ALONE)
        successive.append(moments(chain))
    batches = np.array(successive).reshape(n_batches, -1, independent.shape[1]).mean(axis=1)
    error = np.sqrt(batches.var(axis=0, ddof=1) / n_batches + independent.var(axis=0) / len(independent))
    z = (batches.mean(axis=0) - independent.mean(axis=0)) / error
    assert np.abs(z).max() < 4, z.round(2)
