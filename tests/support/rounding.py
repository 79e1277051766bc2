"""Rows of a matrix product that are the same but for the place where a BLAS computes them."""

import numpy as np


def assert_equal_but_rounding(found: np.ndarray, expected: np.ndarray) -> None:
    """Compare float32 products of the same rows: a BLAS may round by the place of a row, OpenBLAS with AVX2 does."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
