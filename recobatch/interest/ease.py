"""EASE: a linear model from the items that a user rated to those they would take. NumPy only."""

import numpy as np

from recobatch.interest.spectrum import Spectrum
from recobatch.interest_model import InterestKind, InterestPart


def ease_factors(spectrum: Spectrum, penalty: float) -> np.ndarray:
    """Items' factors for users' factors that are their weights times ``spectrum.vectors``.

    EASE (Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019, eq. 8) scores item i of a user with
    weights x by ``-(x P)_i / P_ii``, where ``P = (XᵀX + penalty I)⁻¹`` and i is unrated. With the singular vectors V
    and values s of X that is ``(x V g Vᵀ)_i / (1 - Σ_r V_ir² g_r)``, ``g = s² / (s² + penalty)``. So one factorisation
    gives every penalty, and the smallest singular values, whose g is near 0, may be left out.

    Returns:
        float32, shape ``(n_items, rank)``.
    """
    gain = (spectrum.squared / (spectrum.squared + penalty)).astype(np.float32)
    rest = 1 - np.square(spectrum.vectors) @ gain
    return spectrum.vectors * gain / np.maximum(rest, np.float32(1e-3))[:, None]


def ease_part(spectrum: Spectrum, users: np.ndarray, penalty: float) -> InterestPart:
    """Assemble the model.

    Args:
        spectrum: Of the users × items matrix of weights.
        users: That matrix times ``spectrum.vectors``: float32, shape ``(n_users, rank)``.
        penalty: Added to the diagonal of the Gram matrix.
    """
    items = ease_factors(spectrum, penalty)
    return InterestPart(InterestKind.EASE, users, items, spectrum.vectors, users.mean(axis=0), penalty)
