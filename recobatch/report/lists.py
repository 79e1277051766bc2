"""The quality of a batch's lists, as the report shows it. Imports no matplotlib."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ListResult:
    """The lists of one model by one way to rank, or of a baseline, measured on the test rows."""

    name: str
    k: int
    """Length of the lists."""
    ndcg: float
    recall: float
    popularity: float
    """Mean training ratings of the items in a list."""
    coverage: float
    """Share of the catalogue in any of the lists."""
    is_published: bool = False
    """Whether the champion's lists are published like that."""
    is_baseline: bool = False
    by_user_activity: Sequence[Mapping[str, float]] = ()
    """Quartiles, as ``GroupRankings.to_dict`` gives them."""
    by_item_popularity: Sequence[Mapping[str, float]] = ()
    """Likewise."""


def verdict(lists: Sequence[ListResult]) -> str:
    """How the published lists compare with those by popularity."""
    best = max(lists, key=lambda each: each.ndcg)
    published = next((each for each in lists if each.is_published), best)
    popular = next((each for each in lists if each.name == "popularity"), None)
    text = f"Lists are ranked by {published.name}: NDCG@{published.k} {published.ndcg:.3f}"
    if popular is not None and popular.ndcg > 0:
        text += f", {published.ndcg / popular.ndcg:.2f} times that of popularity ({popular.ndcg:.3f})"
    return f"{text}. They hold {published.coverage:.0%} of all items."
