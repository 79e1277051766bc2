"""Ranking metrics with binary relevance, beside coverage, popularity and novelty of what is recommended. NumPy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from recobatch.errors import BadInput
from recobatch.evaluation.ranking_groups import GroupRankings, item_groups, user_groups
from recobatch.evaluation.relevant_items import RelevantItems
from recobatch.interactions import EncodedInteractions

_UPPER_PART = 0.75


class EvaluationOptions(BaseModel):
    """Which items count as relevant, and the length of the lists that are measured."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    k: int = Field(10, ge=1, le=1000)
    """Length of the lists."""
    relevant: float | None = Field(None, allow_inf_nan=False)
    """Lowest test rating of a relevant item. None takes the lowest rating given that lies at least three quarters up
    the range of the ratings: 4 where they are 1 to 5, 3.5 where they are 0.5, 1, … 4."""


@dataclass(frozen=True)
class Rankings:
    """Metrics of the lists of a model, means over the measured users unless said otherwise."""

    k: int
    """Length of the lists."""
    relevant: float
    """Lowest test rating of a relevant item."""
    ndcg: float
    """Discounted cumulative gain over that of an ideal list: ``Σ 1 / log2(1 + rank)`` over the hits, divided by the
    same sum over the ranks 1 to ``min(k, relevant items)``."""
    recall: float
    """Hits over relevant items, not over ``min(k, relevant items)``."""
    map: float
    """Mean average precision: ``Σ hits up to the rank / rank`` over the ranks of hits, over the relevant items."""
    hit_rate: float
    """Share of users with at least one hit."""
    coverage: float
    """Share of the catalogue that occurs in any of the lists."""
    popularity: float
    """Mean number of training ratings of the items in a list (ARP, average recommendation popularity)."""
    novelty: float
    """Mean self-information of the items in a list, in bits: ``-log2(raters / users)``, an unrated item counting as
    rated once."""
    n_users: int
    """Users measured: those with a relevant test item."""
    left_out: int
    """Users without a relevant test item."""
    by_user_activity: tuple[GroupRankings, ...] = ()
    """Quartiles of users by their training ratings, the least active first."""
    by_item_popularity: tuple[GroupRankings, ...] = ()
    """Quartiles of items by their training ratings, the least popular first."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; the length of the lists is part of the names."""
        return self.metrics() | {
            "relevant": self.relevant, "n_users": self.n_users, "left_out": self.left_out,
            "by_user_activity": [group.to_dict(self.k) for group in self.by_user_activity],
            "by_item_popularity": [group.to_dict(self.k) for group in self.by_item_popularity],
        }  # fmt: skip

    def metrics(self) -> dict[str, float]:
        """The metrics alone, by the names that MLflow and the summary use."""
        return {
            f"ndcg_at_{self.k}": self.ndcg, f"recall_at_{self.k}": self.recall, f"map_at_{self.k}": self.map,
            f"hit_rate_at_{self.k}": self.hit_rate, "coverage": self.coverage, "popularity": self.popularity,
            "novelty": self.novelty,
        }  # fmt: skip


def relevance_threshold(rating: np.ndarray, options: EvaluationOptions) -> float:
    """Lowest rating of a relevant item: ``options.relevant``, or the upper part of the scale.

    Args:
        rating: All ratings, shape ``(n,)``, at least one.
        options: The evaluation.
    """
    if options.relevant is not None:
        return options.relevant
    levels = np.unique(rating)
    low, high = float(levels[0]), float(levels[-1])
    rounding = 1e-6 * (high - low) + float(np.spacing(np.abs(levels).max()))
    return float(levels[levels >= low + _UPPER_PART * (high - low) - rounding][0])


def measure_rankings(
    lists: np.ndarray, *, train: EncodedInteractions, test: EncodedInteractions, relevant: float
) -> Rankings:
    """Compare lists of recommended items with the test ratings, as ``ListsMeasure`` does."""
    return ListsMeasure.of(train, test, relevant).measure(lists)


@dataclass(frozen=True, eq=False)
class ListsMeasure:
    """Compares lists of recommended items with the test ratings; what all lists need is computed once."""

    relevant: float
    """Lowest test rating of a relevant item."""
    wanted: RelevantItems
    activity: np.ndarray
    """Training ratings of each user."""
    raters: np.ndarray
    """Training ratings of each item."""

    @classmethod
    def of(cls, train: EncodedInteractions, test: EncodedInteractions, relevant: float) -> "ListsMeasure":
        """Prepare to measure.

        Args:
            train: Training ratings, for activity, popularity and novelty.
            test: Test ratings over the same users and items.
            relevant: Lowest test rating of a relevant item.

        Raises:
            BadInput: If no test rating is relevant.
        """
        wanted = RelevantItems.of(test, relevant)
        if not len(wanted.rows):
            raise BadInput(
                f"evaluation.relevant: found no test rating of at least {relevant:g}, expected one to measure "
                f"rankings; pass a lower --set evaluation.relevant=…"
            )
        return cls(relevant, wanted, train.user_counts(), train.item_counts())

    def measure(self, lists: np.ndarray) -> Rankings:
        """Measure lists.

        Args:
            lists: Item indices, integers, shape ``(n_users, k)``, best first, each item at most once; -1 after the
                last. None of them should be rated in train.

        Raises:
            BadInput: If the lists are of other users.
        """
        n_users, n_items = len(self.activity), len(self.raters)
        if len(lists) != n_users:
            raise BadInput(
                f"rankings: found lists of {len(lists):,} users, expected {n_users:,} as in the test ratings; use the "
                f"model trained on the same data"
            )
        hits, shown = self.wanted.hits(lists), lists[self.wanted.users]
        per_user = self.wanted.metrics(hits)
        filled = shown >= 0
        length = np.maximum(filled.sum(axis=1), 1)
        information = -np.log2(np.maximum(self.raters, 1) / max(n_users, 1))

        def mean_of(values: np.ndarray) -> float:
            return float((np.where(filled, values[shown], 0).sum(axis=1) / length).mean())

        is_shown = np.zeros(n_items, dtype=bool)
        is_shown[shown[filled]] = True
        return Rankings(
            k=lists.shape[1], relevant=self.relevant,
            **{name: float(values.mean()) for name, values in per_user.items()},
            coverage=int(is_shown.sum()) / n_items, popularity=mean_of(self.raters), novelty=mean_of(information),
            n_users=len(shown), left_out=n_users - len(shown),
            by_user_activity=user_groups(per_user, self.wanted.n_relevant, self.activity, self.wanted.users),
            by_item_popularity=item_groups(shown, hits, self.wanted.rows, self.raters),
        )  # fmt: skip
