"""Ratings held out from the training ratings, and the NDCG that a model reaches on them."""

from dataclasses import dataclass

import numpy as np

from recobatch.errors import BadRatings
from recobatch.evaluation.relevant_items import RelevantItems
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions
from recobatch.rated import RatedPairs
from recobatch.scoring.lists import top_lists
from recobatch.scoring.ranker import Ranker
from recobatch.split import SplitOptions, split

_OFTEN = ((60_000, 3), (500_000, 2))
"""Fewer ratings than the first number are held out so many times, with other rows each time; more are held out once."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Training ratings without those held out, and the held-out ratings that are relevant."""

    fit: EncodedInteractions
    liked: RelevantItems
    rated: RatedPairs
    """Pairs of ``fit``."""
    k: int
    """Length of the lists."""

    def ndcg(self, ranker: Ranker | FactorModel) -> float:
        """Mean NDCG of the lists; a model is ranked by its raw scores."""
        ranker = Ranker.of(ranker) if isinstance(ranker, FactorModel) else ranker
        return float(self.liked.ndcg(top_lists(ranker, self.rated, self.k)).mean())


def make_folds(
    train: EncodedInteractions, *, relevant: float, fraction: float, max_users: int, k: int, seed: int
) -> list[Fold]:
    """Hold out a share of each user's ratings at random.

    Args:
        train: Training ratings.
        relevant: Lowest rating of a relevant item.
        fraction: Share held out.
        max_users: Of more users, a random part of that size is used.
        k: Length of the lists.
        seed: Seed of the shuffles.

    Returns:
        One to three folds; none if no relevant rating can be held out.
    """
    part = sample_users(train, max_users, seed)
    folds = []
    for number in range(next((times for limit, times in _OFTEN if len(part) < limit), 1)):
        options = SplitOptions(method="random", ratios=(1 - fraction, fraction), seed=seed + number)
        try:
            halves = split(part, options)
        except BadRatings:  # too few ratings of any user
            return []
        liked = RelevantItems.of(halves.test, relevant)
        if not len(liked.rows):
            return []
        folds.append(Fold(halves.train, liked, RatedPairs.collect(halves.train), k))
    return folds


def sample_users(ratings: EncodedInteractions, max_users: int, seed: int) -> EncodedInteractions:
    """The ratings of at most ``max_users`` random users, whose indices are then without gaps; all items stay."""
    if ratings.n_users <= max_users:
        return ratings
    chosen = np.sort(np.random.default_rng(seed).choice(ratings.n_users, max_users, replace=False))
    place = np.full(ratings.n_users, -1, dtype=np.int32)
    place[chosen] = np.arange(max_users, dtype=np.int32)
    part = ratings.take(place[ratings.user_index] >= 0)
    return EncodedInteractions(
        place[part.user_index], part.item_index, part.rating, part.timestamp, max_users, ratings.n_items
    )
