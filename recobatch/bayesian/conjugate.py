"""Conjugate gradients for several right sides at once."""

from collections.abc import Callable

import numpy as np

_SMALLEST = 1e-30


def conjugate_gradients(
    apply: Callable[[np.ndarray], np.ndarray], right: np.ndarray, start: np.ndarray, diagonal: np.ndarray, steps: int
) -> np.ndarray:
    """Columns of ``A⁻¹ right`` approximately, preconditioned by a diagonal.

    Args:
        apply: Multiplies each column by its symmetric positive definite matrix, shape ``(m, d)``.
        right: Right sides, float32, shape ``(m, d)``.
        start: First guess, of the same shape.
        diagonal: Positive, of the same shape.
        steps: Multiplications after the first.

    Returns:
        float32, shape ``(m, d)``.
    """
    solution = start.copy()
    residual = right - apply(solution)
    scaled = residual / diagonal
    direction, product = scaled, _dots(residual, scaled)
    for _ in range(steps):
        image = apply(direction)
        step = (product / np.maximum(_dots(direction, image), _SMALLEST)).astype(np.float32)
        solution += step * direction
        residual -= step * image
        scaled = residual / diagonal
        product, previous = _dots(residual, scaled), product
        direction = scaled + (product / np.maximum(previous, _SMALLEST)).astype(np.float32) * direction
    return solution


def _dots(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.einsum("md,md->d", left, right, dtype=np.float64)
