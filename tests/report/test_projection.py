"""Items on a plane: exactly for few factors, and within bounded time for many."""

import numpy as np
import pytest

from recobatch.report.projection import project_items


@pytest.mark.parametrize("n_factors", [6, 900])
def test_the_projection_keeps_distances_of_points_in_a_plane(n_factors):
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(50, 2))
    rotation = np.linalg.qr(rng.normal(size=(n_factors, 2)))[0].T
    positions, shown = project_items((plane @ rotation + 3).astype(np.float32))
    expected = np.linalg.norm(plane[:, None] - plane[None], axis=2)
    found = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert shown == pytest.approx(1)


@pytest.mark.parametrize("factors", [np.ones((5, 1)), np.ones((5, 3)), np.zeros((1, 4))])
def test_the_projection_of_items_that_are_all_alike(factors):
    positions, shown = project_items(factors)
    np.testing.assert_allclose(positions, 0, atol=1e-9)
    assert 0 <= shown <= 1


def test_the_projection_of_many_factors_is_that_of_few():
    """The two largest of several components, whose strengths fall as those of trained factors do."""
    rng, strengths = np.random.default_rng(1), np.array([10.0, 7.0, *5 * 0.9 ** np.arange(30)])
    rows = rng.normal(size=(300, 32)) * strengths
    wide = rows @ np.linalg.qr(rng.normal(size=(700, 32)))[0].T
    (few, few_shown), (many, many_shown) = project_items(rows), project_items(wide)
    assert many_shown == pytest.approx(few_shown, rel=1e-3)
    np.testing.assert_allclose(np.abs(many), np.abs(few), atol=0.02 * np.abs(few).max())


def test_the_projection_of_four_thousand_factors_needs_no_decomposition_of_their_matrix(monkeypatch):
    sizes, decompose = [], np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda matrix: sizes.append(matrix.shape) or decompose(matrix))
    project_items(np.random.default_rng(0).normal(size=(200, 4096)))
    assert max(max(shape) for shape in sizes) <= 256
