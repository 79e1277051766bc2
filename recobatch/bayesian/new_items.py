"""The items' side in closed form for items that the fit does not know: from who rated them, and their features."""

import numpy as np

from recobatch.bayesian.implicit import implicit_block
from recobatch.bayesian.nights import UserInputs, conditional_means, feature_matrices, prior_means
from recobatch.bayesian.rows import Rows
from recobatch.bayesian.state import BayesianState
from recobatch.bayesian.threads import threads
from recobatch.features import FeatureBlock, Features
from recobatch.interactions import EncodedInteractions

_PROBED = 4096
"""Users whose scores a new item's factors are fitted to."""
_RIDGE = 1e-3


def items_from_ratings(
    state: BayesianState, new: EncodedInteractions, known: EncodedInteractions, *, fit_users: np.ndarray,
    user_factors: np.ndarray, users: Features | None = None, items: Features | None = None, n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Factors and biases of items that the fit does not know, beside the users' factors as they are.

    For each thinned sample, the raters' vectors are computed from their ratings of known items, and an item's vector
    is its conditional mean given these. The mean score of the samples is fitted by a ridge regression on the users'
    factors.

    Args:
        state: State of the fit.
        new: Ratings of the new items by any users.
        known: Ratings of the fit's items by the same users.
        fit_users: The fit's index of each user, -1 where it does not know them, shape ``(n_users,)``.
        user_factors: Factors of each user in the scored model, float32, shape ``(n_users, rank)``.
        users: Side features of the users, in the fit's blocks; None if the fit had none.
        items: Side features of the new items, likewise.
        n_threads: Threads; they do not change the result.

    Returns:
        ``item_factors``, float32, shape ``(new.n_items, rank)``, and ``item_bias``, float32, shape ``(new.n_items,)``.
    """
    probed = np.linspace(0, new.n_users - 1, min(_PROBED, new.n_users)).astype(np.int64)
    chosen = np.union1d(np.unique(new.user_index), probed)
    place = np.full(new.n_users, -1)
    place[chosen] = np.arange(len(chosen))
    mine = _of_users(known, place, len(chosen))
    rated = _of_users(new, place, len(chosen))
    features = feature_matrices(_item_blocks(rated, fit_users[chosen], state, items))
    standard = (rated.rating - np.float32(state.centre)) / np.float32(state.scale)
    rows = Rows.build(rated.item_index, rated.user_index, standard, (new.n_items, len(chosen)))
    block = None if users is None or not users.n_features else users.take(chosen).merged("side")
    inputs = UserInputs.build(state, mine, block)
    scores = np.zeros((len(probed), new.n_items), dtype=np.float32)
    bias = np.zeros(new.n_items, dtype=np.float32)
    with threads(n_threads) as pool:
        for sample in state.samples:
            raters = inputs.means(sample, pool)
            prior = prior_means(sample, "item", new.n_items, features, pool)
            vectors = conditional_means(sample, "item", rows, prior, raters, np.ones(len(chosen)), pool)
            scores += raters[place[probed], :-1] @ vectors[:, :-1].T
            bias += vectors[:, -1]
    factor = np.float32(state.scale / len(state.samples))
    factors, offset = _fitted(user_factors[probed], scores * factor)
    return factors, bias * factor + offset


def _of_users(ratings: EncodedInteractions, place: np.ndarray, n_users: int) -> EncodedInteractions:
    index = place[ratings.user_index]
    part = ratings.take(index >= 0)
    chosen = index[index >= 0].astype(np.int32)
    return EncodedInteractions(chosen, part.item_index, part.rating, part.timestamp, n_users, ratings.n_items)


def _item_blocks(
    rated: EncodedInteractions, fit_users: np.ndarray, state: BayesianState, items: Features | None
) -> list[FeatureBlock | None]:
    """Who rated each item, of the users that the fit knows, and the side features."""
    user = fit_users[rated.user_index]
    is_known, n_users = user >= 0, len(state.chains[0]["user_vectors"])
    implicit = implicit_block(rated.item_index[is_known], user[is_known], (rated.n_items, n_users))
    return [implicit, None if items is None or not items.n_features else items.merged("side")]


def _fitted(factors: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression of scores, shape ``(n, m)``, on factors, shape ``(n, rank)``: weights by row, and intercepts."""
    mean, level = factors.mean(axis=0, dtype=np.float64), scores.mean(axis=0, dtype=np.float64)
    centred = factors - mean
    gram = centred.T @ centred
    gram[np.diag_indices_from(gram)] += _RIDGE * (float(np.trace(gram)) / len(gram) or 1.0)
    weights = np.linalg.solve(gram, centred.T @ (scores - level))
    return weights.T.astype(np.float32), (level - mean @ weights).astype(np.float32)
