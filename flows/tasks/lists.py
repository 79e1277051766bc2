"""Measure the lists of a batch on the test part, and compare them with the published ones."""

import json
from collections.abc import Mapping

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Job
from flows.outputs import Parts, Ratings, ToScore, TrainedInterest, TrainedModel
from flows.tasks.interest import relevant_rating
from recobatch.errors import BadTable
from recobatch.factors import FactorModel
from recobatch.model_folder import load_interest
from recobatch.scoring.list_quality import BatchLists, measure_lists, way_to_rank
from recobatch.table import ModelEntry, Staging, mean_overlap


@task(name="measure lists", cache_policy=NO_CACHE)
def measure_batch(
    job: Job, models: Mapping[str, TrainedModel], interest: TrainedInterest | None, ratings: Ratings, parts: Parts
) -> BatchLists:
    """Rank by every model and every way, and measure the lists on the test part, beside those of the baselines."""
    settings, best = job.settings, interest.training.report.rank_by if interest else "prediction"
    with job.stages.timed("measure"):
        factors = {name: FactorModel.load(model.files.judged) for name, model in models.items()}
        rank_by = {
            name: way_to_rank(settings.top.rank_by, best, model, has_interest=interest is not None)
            for name, model in factors.items()
        }
        measured = load_interest(interest.measured).factors if interest else None
        lists = measure_lists(
            parts.load(), factors, measured, rank_by, k=settings.evaluation.k,
            relevant=relevant_rating(settings, ratings),
        )  # fmt: skip
        for name, model in models.items():
            if name not in job.resumed and (rankings := lists.rankings(name)):
                figures = lists.metrics(name)
                beside = {key: value for key, value in figures.items() if key.startswith(("by_", "baseline_"))}
                model.run.log_metrics({key: figures[key] for key in figures if key not in beside})
                model.run.log_facts(beside)  # of lists that are not published
                model.run.log_text(json.dumps(rankings, indent=2), "rankings.json")
    _log(job, lists)
    return lists


def _log(job: Job, lists: BatchLists) -> None:
    if lists.note is not None:
        get_run_logger().warning("lists are not measured: %s", lists.note)
        return
    k = job.settings.evaluation.k
    figures = {name: margin.ndcg for name, margin in lists.margins.items()}
    shown = [f"{figure:.4f} of {name} by {lists.rank_by[name]}" for name, figure in figures.items()]
    popularity = lists.baselines["popularity"].ndcg
    job.stages.log("measure", f"NDCG@{k} {', '.join(shown)}, {popularity:.4f} by popularity", popularity=popularity)


@task(name="compare lists", cache_policy=NO_CACHE)
def compare_lists(job: Job, model: ToScore, entries: Mapping[str, ModelEntry], staging: Staging) -> float | None:
    """Mean share of the items that a user's list of the champion has in common with the published champion's.

    Returns:
        None where nothing was published before, or without lists.
    """
    published = job.table.current()
    lists = [staging.files.open(shard.path, shard.bytes) for shard in entries[model.name].top]
    if published is None or not lists:
        return None
    loaded = model.files.load()
    try:
        with job.stages.timed("compare lists"):
            return mean_overlap(lists, published.parts("top"), users=loaded.users, items=loaded.items)
    except BadTable as error:  # an unreadable table must not prevent its replacement
        get_run_logger().warning("the lists are not compared with version %s: %s", published.version, error)
        return None
