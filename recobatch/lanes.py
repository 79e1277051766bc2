"""Many small Gaussian systems at once: the batch is the last axis, so each step is one operation over all of it."""

import numpy as np


def solve_and_sample(
    system: np.ndarray, right: np.ndarray, noise: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and one sample of normal distributions with precision A and mean ``A⁻¹ right``.

    By the Cholesky factors of A, column by column; several times as fast as one LAPACK call for each system of about
    10 rows.

    Args:
        system: A, symmetric positive definite, shape ``(d, d, b)``; overwritten.
        right: Shape ``(d, b)``.
        noise: Standard normal, shape ``(d, b)``; None takes the means for samples.

    Returns:
        Means and samples, shape ``(d, b)`` each.
    """
    size = len(system)
    solution = np.empty((1 if noise is None else 2, *right.shape), dtype=right.dtype)
    forward = solution[0]
    forward[:] = right
    for j in range(size):
        column = system[j:, j]
        if j:
            column -= np.einsum("ikb,kb->ib", system[j:, :j], system[j, :j])
            forward[j] -= np.einsum("kb,kb->b", system[j, :j], forward[:j])
        column /= np.sqrt(column[0])
        forward[j] /= column[0]
    if noise is not None:
        np.add(forward, noise, out=solution[1])
    for j in range(size - 1, -1, -1):
        if j + 1 < size:
            solution[:, j] -= np.einsum("kb,skb->sb", system[j + 1 :, j], solution[:, j + 1 :])
        solution[:, j] /= system[j, j]
    return solution[0], solution[-1]
