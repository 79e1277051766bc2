"""Conjugate gradients over several arrays at once."""

from collections.abc import Callable, Sequence

import numpy as np

Arrays = list[np.ndarray]
_SOLVED = 1e-10
"""Steps end where the residual has fallen by this factor: a smaller one is rounding."""


def conjugate_gradients(
    apply: Callable[[Arrays], Arrays], right: Arrays, start: Arrays, diagonal: Arrays, steps: int
) -> Arrays:
    """Approximate ``A⁻¹ right``, preconditioned by a diagonal.

    Args:
        apply: Multiplies by A, symmetric positive definite.
        right: Right side, float32 arrays.
        start: First guess, of the same shapes.
        diagonal: Positive, of the same shapes.
        steps: Largest number of multiplications after the first.
    """
    solution = list(start)
    residual = [wanted - found for wanted, found in zip(right, apply(solution), strict=True)]
    direction = scaled = _divide(residual, diagonal)
    first = product = _dot(residual, scaled)
    for _ in range(steps):
        if not product > _SOLVED * first:
            break
        image = apply(direction)
        step = product / _dot(direction, image)
        solution, residual = _add(solution, step, direction), _add(residual, -step, image)
        scaled = _divide(residual, diagonal)
        product, previous = _dot(residual, scaled), product
        direction = _add(scaled, product / previous, direction)
    return solution


def _dot(left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> float:
    return sum(float(np.vdot(one, other)) for one, other in zip(left, right, strict=True))


def _add(left: Arrays, factor: float, right: Arrays) -> Arrays:
    return [one + np.float32(factor) * other for one, other in zip(left, right, strict=True)]


def _divide(left: Arrays, right: Arrays) -> Arrays:
    return [one / other for one, other in zip(left, right, strict=True)]
