"""The users' side in closed form from the ratings of now: new users, new, changed and deleted ratings; no sampling."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from recobatch.bayesian.implicit import implicit_block
from recobatch.bayesian.priors import Priors
from recobatch.bayesian.rows import Rows
from recobatch.bayesian.sparse import SparseMatrix
from recobatch.bayesian.state import Arrays, BayesianState
from recobatch.bayesian.statistics import RowStatistics, row_statistics
from recobatch.bayesian.threads import Threads, threads
from recobatch.errors import BadInput
from recobatch.features import FeatureBlock, Features
from recobatch.interactions import EncodedInteractions
from recobatch.lanes import solve_and_sample

_USERS = 1 << 14
"""Users that a thread computes at once: what is between their ratings and their factors fits in 60 MB."""
_ALONE = Threads(None)
_ROWS = 4096
_WEIGHTINGS = 2
_DEGREES = Priors().noise_degrees


def users_from_ratings(
    state: BayesianState, ratings: EncodedInteractions, *, users: Features | None = None, n_threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Factors and biases of users in the fit's own ``FactorModel``, whose items' side stays as it is.

    For each thinned sample, a user's vector has a normal distribution given the items' vectors; its mean is a solve of
    a small system. The mean over the samples is projected onto the items' factors.

    Args:
        state: State of the fit.
        ratings: The ratings of now of any users, known to the fit or not, over its items.
        users: Side features of these users, in the fit's blocks; None if the fit had none.
        n_threads: Threads; they do not change the result.

    Returns:
        ``user_factors``, float32, shape ``(n_users, rank)``, and ``user_bias``, float32, shape ``(n_users,)``. A user's
        row depends on that user's ratings and features alone. A user without ratings or features gets the prior mean.

    Raises:
        BadInput: If the ratings are of other items, or the features of other users.
    """
    _check(state, ratings, users)
    block = None if users is None or not users.n_features else users.merged("side")
    count, width = len(state.samples), state.samples[0]["item_vectors"].shape[1]
    matrix, offset = _projection(state)
    order = np.argsort(ratings.user_index, kind="stable")
    ends = np.cumsum(ratings.user_counts())
    factors = np.zeros((ratings.n_users, state.item_factors.shape[1]), dtype=np.float32)
    bias = np.zeros(ratings.n_users, dtype=np.float32)

    def compute(first: int) -> None:
        chosen = np.arange(first, min(first + _USERS, ratings.n_users))
        part = ratings.take(order[(ends[first - 1] if first else 0) : ends[chosen[-1]]])
        part = replace(part, user_index=part.user_index - np.int32(first), n_users=len(chosen))
        inputs = UserInputs.build(state, part, None if block is None else block.take(chosen))
        means = np.concatenate([inputs.means(sample, _ALONE) for sample in state.samples], axis=1)
        last = first + len(chosen)
        np.matmul(means, matrix, out=factors[first:last])
        factors[first:last] += offset
        bias[first:last] = means[:, width - 1 :: width].sum(axis=1) * np.float32(state.scale / count)

    with threads(n_threads) as pool:
        pool.each(compute, range(0, ratings.n_users, _USERS))
    return factors, bias


def _projection(state: BayesianState) -> tuple[np.ndarray, np.ndarray]:
    """Map from the vectors of all samples, side by side, to the published factors, and what the item biases add."""
    vectors = np.concatenate([sample["item_vectors"] for sample in state.samples], axis=1)
    vectors *= np.float32(state.scale / len(state.samples))
    width = vectors.shape[1] // len(state.samples)
    basis = state.item_factors  # orthogonal columns of length 1
    biases = np.arange(width - 1, vectors.shape[1], width)
    matrix = vectors.T @ basis
    offset = matrix[biases].sum(axis=0) - state.item_bias @ basis
    matrix[biases] = 0  # a user's own bias is published apart
    return matrix, offset


@dataclass(frozen=True, eq=False)
class UserInputs:
    """What the vectors of some users follow from, in any sample."""

    rows: Rows
    features: list[SparseMatrix | None]
    """The implicit ones, and the side features."""

    @classmethod
    def build(cls, state: BayesianState, ratings: EncodedInteractions, block: FeatureBlock | None) -> Self:
        """Of all users of the ratings, with their side features."""
        shape = ratings.n_users, ratings.n_items
        standard = (ratings.rating - np.float32(state.centre)) / np.float32(state.scale)
        implicit = implicit_block(ratings.user_index, ratings.item_index, shape)
        return cls(
            Rows.build(ratings.user_index, ratings.item_index, standard, shape), feature_matrices([implicit, block])
        )

    def means(self, sample: Arrays, pool: Threads) -> np.ndarray:
        """Conditional means of the users' vectors in a sample: float32, shape ``(n_users, d)``."""
        prior = prior_means(sample, "user", self.rows.n_rows, self.features, pool)
        return conditional_means(sample, "user", self.rows, prior, sample["item_vectors"], sample["item_noise"], pool)


def feature_matrices(blocks: list[FeatureBlock | None]) -> list[SparseMatrix | None]:
    """The blocks as ``prior_means`` takes them."""
    return [None if block is None else SparseMatrix.build(block) for block in blocks]


def prior_means(
    sample: Arrays, side: str, n_rows: int, features: list[SparseMatrix | None], pool: Threads
) -> np.ndarray:
    """Prior means of vectors from their features, the implicit ones first: float32, shape ``(n_rows, d)``."""
    prior = np.repeat(sample[f"{side}_weights_0"], n_rows, axis=0)
    for number, each in enumerate(features, start=1):
        if each is not None and f"{side}_weights_{number}" in sample:
            prior += each.multiply(sample[f"{side}_weights_{number}"], pool)
    return prior


def conditional_means(
    sample: Arrays, side: str, rows: Rows, prior: np.ndarray, other: np.ndarray, other_noise: np.ndarray, pool: Threads
) -> np.ndarray:
    """Means of the vectors of one side given those of the other, each row's share of the noise weighted twice.

    Args:
        sample: Precisions.
        side: ``user`` or ``item``.
        rows: Standardised ratings; columns are rows of ``other``.
        prior: As ``prior_means`` returned it.
        other: Vectors of the other side, float32, shape ``(m, d)``.
        other_noise: Its noise weights, shape ``(m,)``.
        pool: For products.
    """
    found = row_statistics(rows, other, np.full(rows.n_rows, float(sample["alpha"])), other_noise, pool)
    precision = sample[f"{side}_precision"].astype(np.float32)
    means = np.empty_like(prior)

    def solve(start: int) -> None:
        part = slice(start, start + _ROWS)
        means[part] = _weighted_means(found, rows.counts[part], prior[part], precision, part).T

    pool.each(solve, range(0, rows.n_rows, _ROWS))
    return means


def _weighted_means(
    found: RowStatistics, counts: np.ndarray, prior: np.ndarray, precision: np.ndarray, part: slice
) -> np.ndarray:
    """Means of the vectors of a range of rows: float32, shape ``(d, b)``; the rows are the last axis throughout."""
    gram = np.ascontiguousarray(found.gram[part].transpose(1, 2, 0))
    right, pull = np.ascontiguousarray(found.right[part].T), precision[:, None] * prior.T
    diagonal, weights = np.arange(len(precision)), np.ones(len(prior), dtype=np.float32)
    for _ in range(_WEIGHTINGS):
        system = gram * weights
        system[diagonal, diagonal] += precision[:, None]
        means, _ = solve_and_sample(system, weights * right + pull)
        pulled = np.einsum("ijb,jb->ib", gram, means) - 2 * right
        errors = np.maximum(found.squares[part] + np.einsum("ib,ib->b", pulled, means), 0)
        weights = ((_DEGREES + counts) / (_DEGREES + errors)).astype(np.float32)
    return means


def _check(state: BayesianState, ratings: EncodedInteractions, users: Features | None) -> None:
    if ratings.n_items != len(state.item_bias):
        raise BadInput(
            f"bayesian_mf: found ratings over {ratings.n_items:,} items, expected {len(state.item_bias):,} as in the "
            f"fit; encode them with the fit's vocabulary"
        )
    found = 0 if users is None else users.n_features
    expected = len(state.samples[0].get("user_weights_2", ()))
    if found != expected or (users is not None and users.blocks and users.n_rows != ratings.n_users):
        raise BadInput(
            f"bayesian_mf: found {found:,} features of {0 if users is None else users.n_rows:,} users, expected "
            f"{expected:,} features of {ratings.n_users:,} users as in the fit and the ratings; build them with the "
            f"fit's columns"
        )
