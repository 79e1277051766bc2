"""A champion's interest model and the current ratings → the users' interest as of now, over the scored ids."""

from dataclasses import replace

import numpy as np

from recobatch.blas import one_blas_thread
from recobatch.interactions import EncodedInteractions
from recobatch.interest_model import InterestModel
from recobatch.model_folder import LoadedModel
from recobatch.rated import RatedPairs
from recobatch.scoring.extension import CurrentRatings, over_scored_ids

_COVERED = 0.5
"""Of ratings since the training, a user's are all of theirs if they hold that share of the pairs of the training."""


def extend_interest(
    interest: InterestModel, champion: LoadedModel, extended: LoadedModel, now: CurrentRatings, *, complete: bool
) -> InterestModel:
    """Compute the users' interest from the current ratings, in closed form.

    Where the current ratings are those since the training, a user of whom they hold less than half of the training
    pairs keeps the interest of the training. Unknown items get an interest of 0.

    Args:
        interest: The champion's, over its users and items.
        champion: As it was registered.
        extended: As ``extend`` returned it.
        now: The current ratings.
        complete: As ``RatingsDelta`` has it.

    Returns:
        The model over the users and items of ``extended``.
    """
    ratings = over_scored_ids(extended, now)
    moved = interest.over_items(extended.items.find(champion.items.ids), len(extended.items))
    with one_blas_thread():
        fresh = moved.for_users(ratings)
    known = extended.users.find(champion.users.ids)
    if complete or not len(kept := np.flatnonzero(_coverage(champion, extended, ratings) < _COVERED)):
        return fresh
    place = np.full(len(extended.users), -1)
    place[known] = np.arange(len(known))
    parts = []
    for part, trained in zip(fresh.parts, interest.parts, strict=True):
        users = part.user_factors.copy()
        users[kept] = trained.user_factors[place[kept]]
        parts.append(replace(part, user_factors=users))
    return replace(fresh, parts=tuple(parts))


def _coverage(champion: LoadedModel, extended: LoadedModel, ratings: EncodedInteractions) -> np.ndarray:
    """Share of each user's training pairs among the current ratings, shape ``(n_users,)``; 1 for unknown users."""
    user, item = champion.rated.pairs()
    user = extended.users.find(champion.users.ids)[user]
    item = extended.items.find(champion.items.ids)[item]
    is_current = RatedPairs.collect(ratings).contains(user, item)
    total = np.bincount(user, minlength=len(extended.users))
    return np.where(total, np.bincount(user, is_current, len(extended.users)) / np.maximum(total, 1), 1.0)
