"""Items on the two principal components of their factors. NumPy only."""

import numpy as np

_MOST_EXACT = 256
"""Factors up to which the components are computed exactly: the time grows with the cube of their number."""
_SUBSPACE = 12
_ROUNDS = 12


def project_items(item_factors: np.ndarray) -> tuple[np.ndarray, float]:
    """Project the items on the two principal components of their factors.

    Args:
        item_factors: float, shape ``(n_items, n_factors)``.

    Returns:
        Positions, shape ``(n_items, 2)``, and the share of the variance they show, 0 to 1.
    """
    centred = np.asarray(item_factors, np.float64) - item_factors.mean(axis=0)
    basis = None if centred.shape[1] <= _MOST_EXACT else _leading_subspace(centred)
    seen = centred if basis is None else centred @ basis
    # Of the small square matrix: the tall one has as many rows as there are items.
    _, strength, directions = np.linalg.svd(seen.T @ seen)
    components = directions[:2] if basis is None else directions[:2] @ basis.T
    flip = np.sign(components[np.arange(len(components)), np.abs(components).argmax(axis=1)])
    positions = centred @ (components * flip[:, None]).T
    if positions.shape[1] < 2:
        positions = np.column_stack([positions, np.zeros(len(positions))])
    total = float(np.square(centred).sum())
    return positions, float(strength[:2].sum() / total) if total else 0.0


def _leading_subspace(rows: np.ndarray) -> np.ndarray:
    """Orthonormal columns that hold the principal components: shape ``(n_factors, _SUBSPACE)``.

    Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 2011, algorithm 4.4.
    """
    basis = np.random.default_rng(0).normal(size=(rows.shape[1], _SUBSPACE))
    for _ in range(_ROUNDS):
        basis, _ = np.linalg.qr(rows.T @ (rows @ basis))
    return basis
