"""Ridge regressions by conjugate gradients, for several right sides at once."""

from collections.abc import Callable

import numpy as np

_SMALLEST = 1e-30

Product = Callable[[np.ndarray], np.ndarray]


def ridge_by_gradients(
    forward: Product, backward: Product, right: np.ndarray, ridge: np.ndarray, norms: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Columns of ``(XᵀX + ridge)⁻¹ right`` approximately, preconditioned by the diagonal.

    Args:
        forward: Multiplies by X, shape ``(m, d)`` to ``(n, d)``.
        backward: Multiplies by Xᵀ, shape ``(n, d)`` to ``(m, d)``.
        right: Right sides, float32, shape ``(m, d)``.
        ridge: Positive, one for each column, shape ``(d,)``.
        norms: Squared lengths of the columns of X, shape ``(m, 1)``.
        steps: Multiplications by either matrix.

    Returns:
        The solution, float32, shape ``(m, d)``, and X times it, float32, shape ``(n, d)``.
    """
    diagonal = norms + ridge
    residual, scaled = right, right / diagonal
    direction, length = scaled, _dots(residual, scaled)
    solution = product = np.zeros(1, dtype=np.float32)
    for _ in range(steps):
        image = forward(direction)
        pulled = backward(image) + ridge * direction
        step = (length / np.maximum(_dots(direction, pulled), _SMALLEST)).astype(np.float32)
        solution = solution + step * direction
        product = product + step * image
        residual = residual - step * pulled
        scaled = residual / diagonal
        length, previous = _dots(residual, scaled), length
        direction = scaled + (length / np.maximum(previous, _SMALLEST)).astype(np.float32) * direction
    return solution, product


def _dots(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("md,md->d", left, right, dtype=np.float64)
