"""The registry's models for scoring: the champion, and those of its batch that the table has beside it."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from prefect import task
from prefect.logging import get_run_logger

from flows.job import Services
from flows.outputs import ToScore
from flows.tasks.retried import RETRIED
from recobatch.addresses import without_secrets
from recobatch.errors import BadInput, BadTable, GateRefused
from recobatch.evaluation.promotion import SAME_RATINGS, shared_pairs
from recobatch.scoring.list_quality import way_to_rank
from recobatch.scoring.ranker import RankBy
from recobatch.tracking import RegisteredModel
from recobatch.training.fit import TrainedOn

Missing = Mapping[str, str]
"""Model of the published table → why it is not scored."""


@task(name="fetch champion", **RETRIED)
def fetch_champion(services: Services, folder: Path) -> ToScore:
    """Download the registered champion's factors, their digests checked, into a folder that no other run uses.

    Raises:
        GateRefused: If it was trained on other ratings than the models of the table, as in a registry that several
            projects use under one name.
    """
    with services.stages.timed("fetch champion"):
        champion = services.tracker.champion()
        model = _fetch(services, champion, folder)
        _check_ratings(services, champion, model, folder)
    dataset = champion.tags.get("dataset", "unknown ratings")
    services.stages.log("fetch champion", f"{model.name}, version {champion.version}, trained on {dataset}")
    return model


@task(name="fetch other models", **RETRIED)
def fetch_others(
    services: Services, others: Mapping[str, RegisteredModel], folder: Path
) -> tuple[dict[str, ToScore], Missing]:
    """Download the models that are scored beside the champion, likewise; those that are damaged or gone are named."""
    fetched, missing = dict[str, ToScore](), dict[str, str]()
    with services.stages.timed("fetch champion"):
        for name, version in others.items():
            try:
                fetched[name] = _fetch(services, version, folder)
            except BadTable as error:
                missing[name] = str(error)
    return fetched, missing


def find_others(services: Services, champion: ToScore) -> tuple[dict[str, RegisteredModel], Missing]:
    """The versions of the models that the table has beside the champion, from the champion's batch.

    Returns:
        The versions by model, and why others have none. Nothing where the champion alone is to be scored.
    """
    table = services.table.current()
    wanted = [] if table is None else [name for name in table.manifest.models if name != champion.name]
    if services.settings.score.models == "champion" or not wanted:
        return {}, dict.fromkeys(wanted, "score.models=champion")
    batch_id = champion.tags.get("batch_id", "")
    found = services.tracker.versions_of(batch_id)
    reason = f"the registry has no version of it from the champion's batch {batch_id}"
    return {n: found[n] for n in wanted if n in found}, {n: reason for n in wanted if n not in found}


def _fetch(services: Services, version: RegisteredModel, folder: Path) -> ToScore:
    files = version.download(Path(tempfile.mkdtemp(dir=folder)))  # one for every attempt
    tags = version.tags
    test_mse = float(tags["test_mse"]) if "test_mse" in tags else None
    best = cast(RankBy, tags.get("rank_by", "prediction"))
    has_interest = files.interest is not None
    rank_by = way_to_rank(services.settings.top.rank_by, best, files.load().model, has_interest=has_interest)
    trained_on = cast(TrainedOn, tags.get("trained_on", "train"))
    return ToScore(tags.get("model", "champion"), version.run_id, files, test_mse, tags, rank_by, trained_on)


def _check_ratings(services: Services, champion: RegisteredModel, model: ToScore, folder: Path) -> None:
    """Compare the champion's ratings with those of a model that was trained for this table, where there is one."""
    try:
        known = _model_of_table(services, champion)
        if known is None:
            return
        share = shared_pairs(known.download(Path(tempfile.mkdtemp(dir=folder))).load(), model.files.load())
    except BadInput as error:  # it is not in the registry any more, or damaged
        get_run_logger().warning("the champion's ratings are not compared with those of the table: %s", error)
        return
    if share < SAME_RATINGS:
        raise GateRefused(
            f"{table_tag(services)}: found the champion of {champion.name!r}, version {champion.version} of "
            f"{champion.tags.get('table', 'another table')}, trained on {_ratings(champion)}; expected a model of this "
            f"table's ratings, as version {known.version} of {_ratings(known)}, with which it shares {share:.0%} of "
            f"the rated pairs; nothing was published; set tracking.registered_model to another name for these ratings "
            f"and train with recobatch run"
        )


def _model_of_table(services: Services, champion: RegisteredModel) -> RegisteredModel | None:
    """Version of the published champion, or the newest trained for a table in which nothing is published yet.

    Returns:
        None where the champion is of this table itself, or there is no such version.
    """
    if (table := services.table.current()) is None:
        location = table_tag(services)
        return None if champion.tags.get("table") == location else services.tracker.newest_version(location)
    runs = {name: model.mlflow_run_id for name, model in table.manifest.models.items()}
    return None if champion.run_id in runs.values() else services.tracker.version_of(runs[table.champion])


def table_tag(services: Services) -> str:
    """Address of the table, as versions that are trained for it have it as a tag."""
    return without_secrets(services.table.store.location)


def _ratings(version: RegisteredModel) -> str:
    tags = version.tags
    return f"{tags.get('dataset', 'unknown ratings')} ({tags.get('ratings', 'no address')})"
