"""Which of a user's own ratings speak for an item: the linear parts of the models, taken apart. NumPy only."""

from collections.abc import Sequence

import numpy as np

from recobatch.bayesian import BayesianState
from recobatch.interest_model import Confidence, InterestKind, InterestModel, InterestPart


def interest_reasons(model: InterestModel, rated: np.ndarray, rating: np.ndarray, items: np.ndarray) -> np.ndarray:
    """What each of a user's ratings adds to the interest in some items.

    EASE is a weighted sum over the rated items. A user's vector in implicit ALS is ``A⁻¹ Σ w y``, so that the score is
    a sum over the rated items as well (Hu, Koren & Volinsky, "Collaborative filtering for implicit feedback datasets",
    ICDM 2008, section 5).

    Args:
        model: Of any users.
        rated: Indices of the items that the user rated, shape ``(n,)``.
        rating: The ratings, shape ``(n,)``; NaN counts as the highest.
        items: Indices of the items to explain, shape ``(m,)``.

    Returns:
        float64, shape ``(n, m)``; a column adds up to the user's interest in the item.
    """
    total = np.zeros((len(rated), len(items)))
    if not len(rated):
        return total
    for part in model.parts:
        vectors = _summands(part, rated, model.confidence, rating)
        total += vectors @ part.item_factors[items].T.astype(np.float64)
    return total


def _summands(part: InterestPart, rated: np.ndarray, confidence: Confidence, rating: np.ndarray) -> np.ndarray:
    """Vectors that add up to the user's factors: float64, shape ``(n, n_factors)``."""
    weights = confidence.of(np.where(np.isnan(rating), confidence.highest, rating)).astype(np.float64)[:, None]
    vectors = part.basis[rated].astype(np.float64)
    if part.kind is InterestKind.EASE:
        return weights * vectors
    everything = part.basis.astype(np.float64)
    matrix = part.unobserved * (everything.T @ everything) + vectors.T @ (weights * vectors)
    penalty = max(part.regularization * len(rated) + part.floor, 1e-6)
    matrix[np.diag_indices_from(matrix)] += penalty
    return np.linalg.solve(matrix, (weights * vectors).T).T


def rating_reasons(state: BayesianState, rated: np.ndarray, items: np.ndarray) -> np.ndarray | None:
    """What each rated item adds to the prior mean of a user's predictions, by the implicit features of ``bayesian_mf``.

    That a user rated an item at all moves their vector by ``weights / sqrt(n)``; the value of the rating, which moves
    it too, is not part of it.

    Args:
        state: Of the fit.
        rated: Indices of the items that the user rated, shape ``(n,)``.
        items: Indices of the items to explain, shape ``(m,)``.

    Returns:
        Rating units, float64, shape ``(n, m)``, mean over the samples; None if the fit has no implicit features.
    """
    samples = [sample for sample in state.samples if "user_weights_1" in sample]
    if not samples or not len(rated):
        return None
    total = np.zeros((len(rated), len(items)))
    for sample in samples:
        weights = sample["user_weights_1"][rated].astype(np.float64)
        total += weights[:, :-1] @ sample["item_vectors"][items, :-1].T.astype(np.float64) + weights[:, -1:]
    return total * (state.scale / (np.sqrt(len(rated)) * len(samples)))


def similar_rows(vectors: Sequence[np.ndarray], row: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows nearest to one by the cosine of their vectors.

    Args:
        vectors: One array or several, float, shape ``(n, …)``; the mean of their cosines counts.
        row: The row to compare with; it is left out.
        k: How many.

    Returns:
        Indices, int64, the nearest first, equal ones in their order; and the cosines, float64, within [-1, 1].
    """
    cosine = np.mean([_cosines(np.asarray(each, dtype=np.float64), row) for each in vectors], axis=0)
    order = np.argsort(-cosine, kind="stable")
    order = order[order != row][:k]
    return order, cosine[order]


def _cosines(vectors: np.ndarray, row: int) -> np.ndarray:
    length = np.sqrt(np.einsum("nk,nk->n", vectors, vectors))
    return np.clip(vectors @ vectors[row] / np.maximum(length * length[row], 1e-30), -1, 1)
