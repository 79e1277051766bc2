"""Sparse products by pieces, and ridge regressions on them."""

import numpy as np
import pytest

from recobatch.bayesian import sparse
from recobatch.bayesian.conjugate import ridge_by_gradients
from recobatch.bayesian.sparse import SparseMatrix
from recobatch.bayesian.threads import Threads, threads
from recobatch.features import FeatureBlock


def random_block(shape, seed=0):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=shape) * (rng.random(shape) < 0.3)
    matrix[3:6] = 0
    rows, columns = np.nonzero(matrix)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(matrix)))))
    block = FeatureBlock("x", indptr, columns.astype(np.int32), matrix[rows, columns].astype(np.float32), (), shape[1])
    return matrix, block


@pytest.mark.parametrize("shape", [(40, 12), (7, 90)])
def test_products_do_not_depend_on_the_pieces(shape, monkeypatch):
    matrix, block = random_block(shape)
    dense = np.random.default_rng(1).normal(size=(shape[1], 3)).astype(np.float32)
    whole = SparseMatrix.build(block).multiply(dense, Threads(None))
    monkeypatch.setattr(sparse, "_ENTRIES", 9)
    divided = SparseMatrix.build(block)
    assert len(divided.pieces) > 4
    with threads(3) as pool:
        np.testing.assert_array_equal(divided.multiply(dense, pool), whole)
        across = SparseMatrix.build_transposed(block).multiply(whole, pool)
    np.testing.assert_allclose(whole, matrix @ dense, atol=1e-5)
    np.testing.assert_allclose(across, matrix.T @ whole, atol=1e-4)


def test_a_ridge_regression_comes_with_its_product():
    matrix, _ = random_block((50, 8))
    right, ridge = np.random.default_rng(2).normal(size=(8, 2)).astype(np.float32), np.array([0.5, 4.0], np.float32)
    norms = (matrix**2).sum(axis=0, dtype=np.float32)[:, None].astype(np.float32)
    solution, product = ridge_by_gradients(matrix.__matmul__, matrix.T.__matmul__, right, ridge, norms, 12)
    for column in range(2):
        expected = np.linalg.solve(matrix.T @ matrix + ridge[column] * np.eye(8), right[:, column])
        np.testing.assert_allclose(solution[:, column], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(product, matrix @ solution, atol=1e-4)
