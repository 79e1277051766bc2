"""The lists of a batch measured on its test part: every model by every way to rank, beside two baselines."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from recobatch.errors import BadInput
from recobatch.evaluation.baselines import bias_model, popularity_model
from recobatch.evaluation.gate import Margin
from recobatch.evaluation.rankings import ListsMeasure, Rankings
from recobatch.factors import FactorModel
from recobatch.interactions import Split
from recobatch.rated import RatedPairs
from recobatch.scoring.lists import top_lists, top_lists_of_all
from recobatch.scoring.ranker import RankBy, Ranker

WantedRankBy = Literal["best", "prediction", "interest", "product"]
"""``best`` leaves the choice to the ratings held out from training."""


def way_to_rank(wanted: WantedRankBy, best: RankBy, rating: FactorModel, *, has_interest: bool) -> RankBy:
    """What the lists of a model are ranked by.

    Args:
        wanted: ``best``, or what the caller insists on.
        best: The way that ranks held-out ratings best.
        rating: The model; one without a rating range cannot be multiplied with interest.
        has_interest: Whether there is an interest model.
    """
    if wanted != "best":
        return wanted
    if not has_interest:
        return "prediction"
    return "interest" if best == "product" and not rating.max_rating > rating.min_rating else best


@dataclass(frozen=True)
class BatchLists:
    """The quality of a batch's lists."""

    rank_by: Mapping[str, RankBy] = field(default_factory=dict)
    """Model → what its published lists are ranked by."""
    models: Mapping[str, Mapping[RankBy, Rankings]] = field(default_factory=dict)
    """Model → way to rank → metrics."""
    baselines: Mapping[str, Rankings] = field(default_factory=dict)
    """``popularity`` and ``bias``."""
    margins: Mapping[str, Margin] = field(default_factory=dict)
    """Model → how far its published lists are above those by popularity."""
    note: str | None = None
    """Why nothing was measured, one line."""

    def rankings(self, name: str) -> dict[str, Any] | None:
        """The metrics of a model as JSON: those of its published lists, and below ``other_ways`` the others."""
        if name not in self.models:
            return None
        way, ways, margin = self.rank_by[name], self.models[name], self.margins[name]
        others = {other: found.to_dict() for other, found in ways.items() if other != way}
        return {
            "rank_by": way, **ways[way].to_dict(), "over_popularity": margin.to_dict(), "other_ways": others
        }  # fmt: skip

    def metrics(self, name: str) -> dict[str, float]:
        """The metrics of a model by their names in MLflow: of its published lists, of other ways, of the baselines."""
        if name not in self.models:
            return {}
        ways = self.models[name]
        found = ways[self.rank_by[name]].metrics()
        for prefix, rankings in (
            *((f"by_{way}", rankings) for way, rankings in ways.items()),
            *((f"baseline_{baseline}", rankings) for baseline, rankings in self.baselines.items()),
        ):
            found |= {f"{prefix}_{metric}": value for metric, value in rankings.metrics().items()}
        return found


def measure_lists(
    split: Split,
    models: Mapping[str, FactorModel],
    interest: FactorModel | None,
    rank_by: Mapping[str, RankBy],
    *,
    k: int,
    relevant: float,
) -> BatchLists:
    """Rank each user's items that are unrated in train, and compare the lists with the test ratings.

    Args:
        split: The models were trained on its training part alone.
        models: Rating models by name.
        interest: Of the interest model that was trained on the training part alone; None if there is none.
        rank_by: What the lists of each model are published by.
        k: Length of the lists.
        relevant: Lowest test rating of a relevant item.

    Returns:
        The metrics; a note in their place if no test rating is relevant.
    """
    try:
        test = ListsMeasure.of(split.train, split.test, relevant)
    except BadInput as error:
        return BatchLists(rank_by, note=str(error))
    judge = _Judge(RatedPairs.collect(split.train), k, test)
    lowest, highest = (float(limit(split.train.rating)) for limit in (np.min, np.max))
    popularity = judge.lists(Ranker.of(popularity_model(split.train)))
    bias = judge.lists(Ranker.of(bias_model(split.train, min_rating=lowest, max_rating=highest)))
    ways = judge.all_ways(models, interest, rank_by)
    found, bar, margins = judge.measured(ways), test.wanted.ndcg(popularity), {}
    for name, lists in ways.items():
        margins[name] = Margin.of(found[name][rank_by[name]].ndcg, test.wanted.ndcg(lists[rank_by[name]]), bar, k)
    baselines = {"popularity": test.measure(popularity), "bias": test.measure(bias)}
    return BatchLists(rank_by, found, baselines, margins)


@dataclass(frozen=True, eq=False)
class _Judge:
    rated: RatedPairs
    k: int
    test: ListsMeasure

    def lists(self, ranker: Ranker) -> np.ndarray:
        return top_lists(ranker, self.rated, self.k)

    def all_ways(
        self, models: Mapping[str, FactorModel], interest: FactorModel | None, rank_by: Mapping[str, RankBy]
    ) -> dict[str, dict[RankBy, np.ndarray]]:
        """The lists of each model by each way; those by interest alone are the same for all."""
        if not models:
            return {}
        rankers: dict[tuple[str, RankBy], Ranker] = {}
        for name, model in models.items():
            rankers[name, "prediction"] = Ranker.of(model)
            if interest is not None and (model.max_rating > model.min_rating or rank_by[name] == "product"):
                rankers[name, "product"] = Ranker.of(model, interest, "product")
        first = next(iter(models))
        if interest is not None:
            rankers[first, "interest"] = Ranker.of(models[first], interest, "interest")
        lists = dict(zip(rankers, top_lists_of_all(list(rankers.values()), self.rated, self.k), strict=True))
        ways: dict[str, dict[RankBy, np.ndarray]] = {name: {} for name in models}
        for (name, way), ranked in lists.items():
            for of_model in ways.values() if way == "interest" else (ways[name],):
                of_model[way] = ranked
        return ways

    def measured(self, ways: Mapping[str, Mapping[RankBy, np.ndarray]]) -> dict[str, dict[RankBy, Rankings]]:
        """Metrics of all lists, each list once: those by interest alone are of several models."""
        known = {id(lists): lists for of_model in ways.values() for lists in of_model.values()}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            metrics = dict(zip(known, pool.map(self.test.measure, known.values()), strict=True))
        return {
            name: {way: metrics[id(lists)] for way, lists in of_model.items()} for name, of_model in ways.items()
        }  # fmt: skip
