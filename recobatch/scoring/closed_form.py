"""A sampled champion follows the current ratings: users and new items in closed form, without a training."""

from dataclasses import dataclass, replace

import numpy as np

from recobatch.bayesian import BayesianState, items_from_ratings, rating_digests, users_from_ratings
from recobatch.factors import FactorModel
from recobatch.features import Features
from recobatch.interactions import EncodedInteractions
from recobatch.model_folder import LoadedModel
from recobatch.rated import RatedPairs
from recobatch.scoring.extension import CurrentRatings, over_scored_ids

_COVERED = 0.5
"""Of ratings since the training, a user's are all of theirs if they hold that share of the pairs of the training."""


@dataclass(frozen=True, eq=False)
class CurrentFeatures:
    """Features of the scored users and items in the fit's blocks, for ids that the fit does not know."""

    users: Features | None = None
    items: Features | None = None


def follow_ratings(
    champion: LoadedModel, extended: LoadedModel, state: BayesianState, now: CurrentRatings,
    features: CurrentFeatures = CurrentFeatures(), *, complete: bool, n_threads: int = 1,
) -> tuple[LoadedModel, int]:  # fmt: skip
    """Compute the users whose ratings changed, the new users and the new items from the current ratings.

    Where the current ratings are those since the training, the champion's users keep their rows, but for those of whom
    the ratings hold half of the training pairs or more.

    Args:
        champion: As it was registered.
        extended: As ``extend`` returned it, with all current ids. It is used up: its arrays, which may take gigabytes,
            become those of the result, unless they are the champion's.
        state: Of the champion, with the inputs of the fit.
        now: The current ratings.
        features: Of ids that the fit does not know, over the users and items of ``extended``.
        complete: As ``RatingsDelta`` has it.
        n_threads: Threads; they do not change the result.

    Returns:
        ``extended`` with these rows replaced, all others as they were, bit by bit; and the number of users computed.
    """
    ratings = over_scored_ids(extended, now)
    fit_users, fit_items = (
        fit.find(scored.ids) for fit, scored in ((champion.users, extended.users), (champion.items, extended.items))
    )
    known, new, new_items = _by_items(ratings, fit_items, len(champion.items))
    chosen = np.flatnonzero(_is_changed(champion, extended, state, known, fit_users, complete=complete))
    of_users = _joined(state.users, fit_users, features.users)
    model = extended.model
    user_factors, user_bias = (_own(model, champion.model, f"user_{part}") for part in ("factors", "bias"))
    if len(chosen):
        part, rows = _of_users(known, chosen), None if of_users is None else of_users.take(chosen)
        user_factors[chosen], user_bias[chosen] = users_from_ratings(state, part, users=rows, n_threads=n_threads)
    item_factors, item_bias = (_own(model, champion.model, f"item_{part}") for part in ("factors", "bias"))
    if len(new_items):
        of_items = _joined(state.items, fit_items, features.items)
        item_factors[new_items], item_bias[new_items] = items_from_ratings(
            state, new, known, fit_users=fit_users, user_factors=user_factors, users=of_users,
            items=None if of_items is None else of_items.take(new_items), n_threads=n_threads,
        )  # fmt: skip
    moved = replace(
        model, user_factors=user_factors, user_bias=user_bias, item_factors=item_factors, item_bias=item_bias
    )
    return replace(extended, model=moved), len(chosen)


def _own(model: FactorModel, champion: FactorModel, name: str) -> np.ndarray:
    """An array of the extended model, or a copy of it where it is the champion's."""
    array: np.ndarray = getattr(model, name)
    return array.copy() if array is getattr(champion, name) else array


def _by_items(
    ratings: EncodedInteractions, fit_items: np.ndarray, n_fit: int
) -> tuple[EncodedInteractions, EncodedInteractions, np.ndarray]:
    """Ratings of the fit's items by its indices, those of new items by their own, and where new items are scored."""
    new_items = np.flatnonzero(fit_items < 0)
    is_new = fit_items[ratings.item_index] < 0
    place = np.full(len(fit_items), -1)
    place[new_items] = np.arange(len(new_items))
    known, new = ratings.take(~is_new), ratings.take(is_new)
    return (
        replace(known, item_index=fit_items[known.item_index].astype(np.int32), n_items=n_fit),
        replace(new, item_index=place[new.item_index].astype(np.int32), n_items=len(new_items)),
        new_items,
    )


def _is_changed(
    champion: LoadedModel, extended: LoadedModel, state: BayesianState, known: EncodedInteractions,
    fit_users: np.ndarray, *, complete: bool,
) -> np.ndarray:  # fmt: skip
    """Whether a user is new, or has other ratings of the fit's items than the fit knew: bool, shape ``(n_users,)``."""
    is_new = fit_users < 0
    if state.digests is None:
        return is_new
    before = np.where(is_new, np.uint64(0), state.digests[fit_users])
    is_changed = rating_digests(known) != before
    if complete:
        return is_new | is_changed
    user, item = champion.rated.pairs()
    place = extended.users.find(champion.users.ids)[user]
    is_current = RatedPairs.collect(known).contains(place, item)
    total = np.bincount(place, minlength=len(fit_users))
    return is_new | is_changed & (np.bincount(place, is_current, len(fit_users)) >= _COVERED * total)


def _of_users(ratings: EncodedInteractions, chosen: np.ndarray) -> EncodedInteractions:
    place = np.full(ratings.n_users, -1)
    place[chosen] = np.arange(len(chosen))
    part = ratings.take(place[ratings.user_index] >= 0)
    return replace(part, user_index=place[part.user_index].astype(np.int32), n_users=len(chosen))


def _joined(fit: Features | None, index: np.ndarray, others: Features | None) -> Features | None:
    """The fit's features of the ids that it knows, and for the others those given or none."""
    if fit is None or not fit.n_features:
        return None
    mine = fit.take(index)
    return mine if others is None else mine.filled(others, index < 0)
