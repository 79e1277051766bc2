"""The score by which a user's items are ranked: expected rating, interest, or both together."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from recobatch.errors import BadTable
from recobatch.factors import FactorModel
from recobatch.rated import RatedPairs
from recobatch.scoring.kernel import BLOCK_USERS, ScoringKernel
from recobatch.scoring.product import ProductScore
from recobatch.scoring.pruning import Pruner
from recobatch.scoring.ranking import best_of_rows, kth_best

RankBy = Literal["prediction", "interest", "product"]
"""What a list is ranked by; ``product`` is interest times the predicted rating above the lowest."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """Items of users, by user, then rank: columns of shape ``(n,)`` each."""

    user_index: np.ndarray
    """int64."""
    rank: np.ndarray
    """int32, from 1."""
    item_index: np.ndarray
    """int64."""
    score: np.ndarray
    """float32; the score of the list, descending within a user."""
    prediction: np.ndarray
    """float32, in rating units, as in the table of all predictions."""


_INTEREST_USERS = 512
"""Users whose interest is computed at once: a BLAS arranges the items' factors anew for each product."""
_MOST_SCORES = 1 << 24
"""Numbers in a buffer of interest, 64 MiB; with more items fewer users are computed at once."""


@dataclass(frozen=True, eq=False)
class Ranker:
    """Ranks every item for a block of users.

    ``prediction`` ranks by the raw score of the rating model, before its link and clipping, so that equal clipped
    predictions keep their order. ``interest`` ranks by the score of the interest model. ``product`` ranks by interest
    times ``prediction - min_rating``; items of negative interest come after all others, ordered by interest alone, as
    interest times ``max_rating - min_rating``. Ties are in the order of the items.
    """

    rating: ScoringKernel
    interest: ScoringKernel | None
    rank_by: RankBy

    @classmethod
    def of(cls, rating: FactorModel, interest: FactorModel | None = None, rank_by: RankBy = "prediction") -> "Ranker":
        """Check that the models belong together.

        Raises:
            BadTable: If there is no interest model where one is needed, if the models differ in users or items, or if
                the rating model has no rating range for ``product``.
        """
        if rank_by == "prediction":
            return cls(ScoringKernel.of(rating), None, rank_by)
        if interest is None:
            raise BadTable(
                f"top.rank_by: found {rank_by!r} and no interest model, expected one beside the rating model; train "
                f"again, or pass --set top.rank_by=prediction"
            )
        if (interest.n_users, interest.n_items) != (rating.n_users, rating.n_items):
            raise BadTable(
                f"interest model: found {interest.n_users:,} users and {interest.n_items:,} items, expected "
                f"{rating.n_users:,} and {rating.n_items:,} as in the rating model; train again"
            )
        if rank_by == "product" and not rating.max_rating > rating.min_rating:
            raise BadTable(
                "rating model: found no rating range, expected one to rank by interest and rating together; train "
                "again, or pass --set top.rank_by=interest"
            )
        return cls(ScoringKernel.of(rating), ScoringKernel.of(interest), rank_by)

    def best(self, users: slice, rated: RatedPairs, k: int) -> Ranked:
        """The best ``k`` unrated items of each of a few thousand users; call it within ``one_blas_thread``.

        Args:
            users: Range of user indices, within ``[0, n_users)``.
            rated: Pairs to leave out.
            k: At least 1; a user with fewer unrated items has that many rows.
        """
        return best_of_all([self], users, rated, k)[0]

    def _best(
        self, users: slice, raw: np.ndarray, by: np.ndarray, k: int, spare: np.ndarray, pruner: Pruner | None
    ) -> Ranked:
        """Of a block of users; ``by`` is minus infinity for excluded items."""
        if self.rank_by == "product":
            best = ProductScore(self.rating.model).best(raw, by, k, spare[: len(raw)], pruner)
        else:
            best = best_of_rows(by, kth_best(by, k), raw, k)
        with np.errstate(over="ignore", invalid="ignore"):  # as in the kernel
            prediction = self.rating.link.apply_link(best.raw)
        return Ranked(best.row + users.start, best.rank, best.item, best.score, prediction)


def best_of_all(rankers: Sequence[Ranker], users: slice, rated: RatedPairs, k: int) -> list[Ranked]:
    """As ``Ranker.best`` of each; the scores of a model that several rankers have are computed once.

    Args:
        rankers: At least one.
        users: As in ``Ranker.best``.
        rated: Likewise.
        k: Likewise.
    """
    kernels = {("rating", id(each.rating.model)): each.rating for each in rankers}
    kernels |= {("interest", id(each.interest.model)): each.interest for each in rankers if each.interest}
    n_items = rankers[0].rating.model.n_items
    at_once = [BLOCK_USERS if what == "rating" else _interest_users(n_items) for what, _ in kernels]
    has_products = any(each.rank_by == "product" for each in rankers)
    pruner = Pruner.of(n_items, k, at_once) if has_products else None
    blocks = pruner.blocks if pruner else [None] * len(kernels)
    scores = [
        kernel.scores(users, at_once=size, out=block)
        for kernel, size, block in zip(kernels.values(), at_once, blocks, strict=True)
    ]
    found = [list[Ranked]() for _ in rankers]
    order = sorted(range(len(rankers)), key=lambda place: rankers[place].rank_by != "product")  # others change scores
    spare = np.empty((BLOCK_USERS, n_items), dtype=np.float32)  # a new one costs page faults
    for parts in zip(*scores, strict=True):
        block_of, part = dict(zip(kernels, parts, strict=True)), parts[0][0]
        excluded = rated.positions(part)
        for place in order:
            ranker = rankers[place]
            raw = block_of["rating", id(ranker.rating.model)][1]
            by = block_of["interest", id(ranker.interest.model)][1] if ranker.interest else raw
            by.ravel()[excluded] = -np.inf
            found[place].append(ranker._best(part, raw, by, k, spare, pruner))
    return [_joined(parts) for parts in found]


def _interest_users(n_items: int) -> int:
    """Users whose interest is computed at once; the interest of a user has the same bits in any range of users."""
    return BLOCK_USERS if n_items * _INTEREST_USERS > _MOST_SCORES else _INTEREST_USERS


def _joined(parts: Sequence[Ranked]) -> Ranked:
    columns = (field.name for field in fields(Ranked))
    return Ranked(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))
