"""The users' side in closed form from the ratings of now: new users, new, changed and deleted ratings; no sampling."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from recobatch.bayesian.implicit import implicit_block
from recobatch.bayesian.lanes import solve_and_sample
from recobatch.bayesian.priors import Priors
from recobatch.bayesian.rows import Rows
from recobatch.bayesian.sparse import SparseMatrix
from recobatch.bayesian.state import Arrays, BayesianState
from recobatch.bayesian.statistics import RowStatistics, row_statistics
from recobatch.bayesian.threads import Threads, threads
from recobatch.errors import BadInput
from recobatch.features import FeatureBlock, Features
from recobatch.interactions import EncodedInteractions

_USERS = 1 << 13
"""Users that a thread computes at once: what is between their ratings and their factors fits in 30 MB."""
_ALONE = Threads(None)
_ROWS = 1024
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
    projections = [_projection(state, sample) for sample in state.samples]
    order = np.argsort(ratings.user_index, kind="stable")
    ends = np.cumsum(ratings.user_counts())
    factors = np.zeros((ratings.n_users, state.item_factors.shape[1]), dtype=np.float32)
    bias = np.zeros(ratings.n_users, dtype=np.float32)

    def compute(first: int) -> None:
        chosen = np.arange(first, min(first + _USERS, ratings.n_users))
        part = ratings.take(order[(ends[first - 1] if first else 0) : ends[chosen[-1]]])
        part = replace(part, user_index=part.user_index - np.int32(first), n_users=len(chosen))
        inputs = UserInputs.build(state, part, None if block is None else block.take(chosen))
        for sample, (matrix, offset) in zip(state.samples, projections, strict=True):
            means = inputs.means(sample, _ALONE)
            factors[chosen] += means[:, :-1] @ matrix + offset
            bias[chosen] += means[:, -1]

    with threads(n_threads) as pool:
        pool.each(compute, range(0, ratings.n_users, _USERS))
    count = np.float32(len(state.samples))
    return factors / count, bias * np.float32(state.scale) / count


def _projection(state: BayesianState, sample: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Map from a sample's vectors to the published factors, and what its item biases add."""
    vectors = sample["item_vectors"] * np.float32(state.scale)
    basis = state.item_factors  # orthogonal columns of length 1
    return vectors[:, :-1].T @ basis, (vectors[:, -1] - state.item_bias) @ basis


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
    weights = np.ones(rows.n_rows, dtype=np.float32)
    found = row_statistics(rows, other, np.full(rows.n_rows, float(sample["alpha"])), other_noise, pool)
    precision = sample[f"{side}_precision"].astype(np.float32)
    for _ in range(_WEIGHTINGS):
        means = _solve(found, weights, prior, precision, pool)
        pulled = np.matmul(found.gram, means[..., None])[..., 0] - 2 * found.right
        errors = np.maximum(found.squares + np.einsum("nd,nd->n", pulled, means), 0)
        weights = ((_DEGREES + rows.counts) / (_DEGREES + errors)).astype(np.float32)
    return means


def _solve(
    found: RowStatistics, weights: np.ndarray, prior: np.ndarray, precision: np.ndarray, pool: Threads
) -> np.ndarray:
    """Means of the vectors given weighted statistics and their prior means: float32, shape of ``prior``."""
    diagonal = np.arange(len(precision))
    right = weights[:, None] * found.right + precision * prior
    means = np.empty_like(prior)

    def solve(start: int) -> None:
        part = slice(start, start + _ROWS)
        system = np.multiply(found.gram[part].transpose(1, 2, 0), weights[part], order="C")
        system[diagonal, diagonal] += precision[:, None]
        columns = np.ascontiguousarray(right[part].T)
        means[part] = solve_and_sample(system, columns, np.zeros_like(columns))[0].T

    pool.each(solve, range(0, len(prior), _ROWS))
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
