"""The quality of a batch's lists, from its summary, as every view shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.results.summary import BatchSummary


@dataclass(frozen=True)
class MeasuredList:
    """The figures of lists by one way to rank."""

    name: str
    figures: Mapping[str, Any]
    is_published: bool = False
    """Whether the champion's lists are ranked like that."""
    is_baseline: bool = False


_NDCG, _RECALL = "ndcg_at_", "recall_at_"


def headline(figures: Mapping[str, Any] | None) -> tuple[float | None, float | None]:
    """NDCG and recall among figures by their names in MLflow, whatever the length of the lists; None where missing."""
    return _figure(figures or {}, _NDCG), _figure(figures or {}, _RECALL)


def list_length(rankings: Iterable[Mapping[str, Any] | None]) -> int | None:
    """Length of the lists that were measured, from the rankings of several models; None if none were."""
    return next((length for each in rankings if (length := _length(each or {})) is not None), None)


def remarks(summary: BatchSummary) -> Iterator[str]:
    """What the champion's lists are ranked by and how much better than popularity they are, one sentence each."""
    champion = summary.models.get(summary.champion)
    if champion is None or champion.rank_by is None:
        return
    interest = summary.interest
    chosen = " (best on ratings held out from training)" if interest and interest.rank_by == champion.rank_by else ""
    yield f"Lists are ranked by {champion.rank_by}{chosen}."
    if interest and interest.chosen:
        yield f"Interest: {interest.chosen}."
    if summary.rankings_note:
        yield f"Lists are not measured: {summary.rankings_note}."
    if champion.rankings:
        yield _gain(champion.rankings)


def measured_lists(summary: BatchSummary) -> Iterator[MeasuredList]:
    """Every model by every way to rank, then the baselines; interest alone ranks the same for all models."""
    seen = set()
    champion_first = sorted(summary.models.items(), key=lambda each: each[0] != summary.champion)
    for name, model in champion_first:
        rankings = model.rankings or {}
        ways = {rankings["rank_by"]: rankings, **rankings["other_ways"]} if rankings else {}
        for way, figures in ways.items():
            is_published = name == summary.champion and way == model.rank_by
            label = way if way == "interest" else f"{name} by {way}"
            if label not in seen:
                seen.add(label)
                yield MeasuredList(label, figures, is_published=is_published)
    for name, one in summary.baselines.items():
        if one.rankings:
            yield MeasuredList(name, one.rankings, is_baseline=True)


def _gain(rankings: Mapping[str, Any]) -> str:
    """How far the lists are above those by popularity."""
    ndcg, length, over = _figure(rankings, _NDCG), _length(rankings), rankings["over_popularity"]
    difference = over[f"{_NDCG}{length}"]
    noise = "" if over["se"] is None else f" ± {over['se']:.4f}"
    times = f", {over['ratio']:.2f} times as much" if "ratio" in over else ""
    return f"NDCG@{length} {ndcg:.4f}: {difference:+.4f}{noise} against lists by popularity{times}."


def _figure(figures: Mapping[str, Any], prefix: str) -> float | None:
    return next((value for name, value in figures.items() if name.startswith(prefix)), None)


def _length(figures: Mapping[str, Any]) -> int | None:
    return next((int(name.removeprefix(_NDCG)) for name in figures if name.startswith(_NDCG)), None)
