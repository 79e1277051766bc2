"""Choose the champion, and apply the gates."""

from collections.abc import Mapping
from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Job
from flows.outputs import Parts, ToScore, TrainedBatch, TrainedModel
from flows.settings.tree import Settings
from recobatch.errors import BadTable
from recobatch.evaluation.drift import BatchFacts, MissingIds, Spread, check_drift
from recobatch.evaluation.gate import check_baseline, check_ranking
from recobatch.evaluation.standing import Standing, choose_champion
from recobatch.factors import FactorModel
from recobatch.model_folder import LoadedModel
from recobatch.table import ModelEntry, ModelFacts, Published, published_items, published_users
from recobatch.training.choice import compare_errors, compare_split


def find_standings(job: Job, models: Mapping[str, TrainedModel], parts: Parts) -> dict[str, Standing]:
    """The models on the ratings that choose the champion, with the spread of their errors.

    Args:
        job: The batch.
        models: By name.
        parts: The split.

    Returns:
        Nothing where the champion is chosen by figures of the recipes or by the test part.
    """
    split = parts.load()
    if split.validation is not None:
        factors, rows = {name: model.files.judged for name, model in models.items()}, split.validation
    else:
        factors = {name: model.compared for name, model in models.items() if model.compared is not None}
        if len(factors) < len(models):
            return {}
        rows = compare_split(split, job.settings.champion.validation_fraction, job.settings.seed).test
    return compare_errors({name: FactorModel.load(path) for name, path in factors.items()}, rows)


@task(name="compare models", cache_policy=NO_CACHE)
def compare_models(job: Job, models: Mapping[str, TrainedModel], standings: Mapping[str, Standing]) -> str:
    """Choose the champion; returns its name."""
    with job.stages.timed("compare"):
        champion = choose_champion({name: model.candidate() for name, model in models.items()})
        job.runs.set_tags({"champion": champion})
        for name, standing in standings.items():
            models[name].run.set_tags({"validation": str(standing)})
    job.stages.log("compare", f"the champion is {champion}")
    return champion


@task(name="quality gate", cache_policy=NO_CACHE)
def check_gate(batch: TrainedBatch, settings: Settings) -> None:
    """Refuse a champion that is no better than the baseline, and lists that are worse than popularity."""
    check_baseline(batch.best.candidate(), batch.parts.report.baselines, settings.gate)
    if settings.top.k == 0:
        return  # no lists are published
    lists, published = batch.lists, batch.to_score(settings.score.models)
    margins = {name: margin for name, margin in lists.margins.items() if name in published}
    if warning := check_ranking(margins, lists.rank_by, settings.gate):
        get_run_logger().warning(warning)


@task(name="drift gate", cache_policy=NO_CACHE)
def check_against_published(
    job: Job, model: ToScore, entries: Mapping[str, ModelEntry], ratings_spread: Spread | None = None,
    overlap: float | None = None, missing: Mapping[str, str] | None = None,
) -> BatchFacts:  # fmt: skip
    """Refuse a batch that moved too far from the published one.

    Args:
        job: The batch.
        model: Its champion.
        entries: The scored models.
        ratings_spread: Of the ratings, where they were read.
        overlap: As ``compare_lists`` returned it.
        missing: Model of the published table → why the batch does not have it, where that is known.

    Returns:
        The figures that the next batch is compared with.
    """
    loaded = model.files.load()
    predictions = {name: prediction_spread(entry) for name, entry in entries.items()}
    facts = BatchFacts(len(loaded.rated.item_index), ratings_spread, model.name, model.test_mse, predictions)
    published = job.table.current()
    if published is not None and (left_out := sorted(published.manifest.models.keys() - entries.keys())):
        reasons = [f"{name} ({(missing or {}).get(name, 'not among the models of this batch')})" for name in left_out]
        get_run_logger().warning(
            "version %s has predictions of models that this one does not have: %s; `recobatch run` publishes every "
            "model", published.version, ", ".join(reasons),
        )  # fmt: skip
    if published is None or not (figures := published.manifest.extra.get("facts")):
        return facts
    before = BatchFacts.from_dict(figures)
    if published.main != ("table" if entries[model.name].shards else "top"):
        before = replace(before, predictions={})  # those of lists are not comparable with those of all pairs
    check_drift(facts, before, _gone_since(published, loaded), job.settings.drift, published.version, overlap)
    return facts.after(before)


def _gone_since(published: Published, loaded: LoadedModel) -> MissingIds:
    try:
        users, items = published_users(published), published_items(published)
    except BadTable as error:  # an unreadable table must not prevent its replacement
        get_run_logger().warning("users and items are not compared with version %s: %s", published.version, error)
        return MissingIds(0.0, 0.0)
    return MissingIds(loaded.users.share_missing(users), loaded.items.share_missing(items))


def prediction_spread(entry: ModelEntry) -> Spread:
    """Mean and standard deviation of all predictions of a model."""
    facts = ModelFacts.of(entry)
    return Spread(facts.mean_prediction or 0.0, facts.sd_prediction or 0.0)
