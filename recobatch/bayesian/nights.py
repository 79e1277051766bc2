"""The users' side in closed form from the ratings of now: new users, new, changed and deleted ratings; no sampling."""

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

_USERS = 1 << 14
_ROWS = 256
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
    ends = np.cumsum(np.bincount(ratings.user_index, minlength=ratings.n_users))
    factors = np.zeros((ratings.n_users, state.item_factors.shape[1]), dtype=np.float32)
    bias = np.zeros(ratings.n_users, dtype=np.float32)
    with threads(n_threads) as pool:
        for first in range(0, ratings.n_users, _USERS):
            chosen = np.arange(first, min(first + _USERS, ratings.n_users))
            rows = order[(ends[first - 1] if first else 0) : ends[chosen[-1]]]
            part = ratings.take(rows)
            for sample, (matrix, offset) in zip(state.samples, projections, strict=True):
                means = user_means(state, sample, part, first, chosen, block, pool)
                factors[chosen] += means[:, :-1] @ matrix + offset
                bias[chosen] += means[:, -1]
    count = np.float32(len(state.samples))
    return factors / count, bias * np.float32(state.scale) / count


def _projection(state: BayesianState, sample: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Map from a sample's vectors to the published factors, and what its item biases add."""
    vectors = sample["item_vectors"] * np.float32(state.scale)
    basis = state.item_factors  # orthogonal columns of length 1
    return vectors[:, :-1].T @ basis, (vectors[:, -1] - state.item_bias) @ basis


def user_means(
    state: BayesianState, sample: Arrays, ratings: EncodedInteractions, first: int, chosen: np.ndarray,
    block: FeatureBlock | None, pool: Threads,
) -> np.ndarray:  # fmt: skip
    """Conditional means of the chosen users' vectors: float32, shape ``(len(chosen), d)``."""
    shape = len(chosen), ratings.n_items
    index = ratings.user_index - first
    standard = (ratings.rating - np.float32(state.centre)) / np.float32(state.scale)
    rows = Rows.build(index, ratings.item_index, standard, shape)
    blocks = [implicit_block(index, ratings.item_index, shape), None if block is None else block.take(chosen)]
    prior = prior_means(sample, "user", len(chosen), blocks, pool)
    return conditional_means(sample, "user", rows, prior, sample["item_vectors"], sample["item_noise"], pool)


def prior_means(sample: Arrays, side: str, n_rows: int, blocks: list[FeatureBlock | None], pool: Threads) -> np.ndarray:
    """Prior means of vectors from their features, the implicit ones first: float32, shape ``(n_rows, d)``."""
    prior = np.repeat(sample[f"{side}_weights_0"], n_rows, axis=0)
    for number, each in enumerate(blocks, start=1):
        if each is not None and f"{side}_weights_{number}" in sample:
            prior += SparseMatrix.build(each).multiply(sample[f"{side}_weights_{number}"], pool)
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
    weights = np.ones(rows.n_rows)
    for _ in range(_WEIGHTINGS):
        found = row_statistics(rows, other, float(sample["alpha"]) * weights, other_noise, pool)
        means = _solve(found, prior, sample[f"{side}_precision"].astype(np.float32), pool)
        pulled = np.matmul(found.gram, means[..., None])[..., 0] - 2 * found.right
        errors = np.maximum(found.squares + np.einsum("nd,nd->n", pulled, means), 0) / weights
        weights = (_DEGREES + rows.counts) / (_DEGREES + errors)
    return means


def _solve(found: RowStatistics, prior: np.ndarray, precision: np.ndarray, pool: Threads) -> np.ndarray:
    """Means of the vectors given the statistics and their prior means: float32, shape of ``prior``."""
    diagonal = np.arange(len(precision))
    right = found.right + precision * prior
    means = np.empty_like(prior)

    def solve(start: int) -> None:
        part = slice(start, start + _ROWS)
        system = found.gram[part].transpose(1, 2, 0).copy()
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
