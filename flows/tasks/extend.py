"""The models to score, brought to the current ratings: what changed since their training."""

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Services
from flows.outputs import Ratings, ToScore
from flows.settings.sections import DataSettings
from flows.tasks.ingest import ingest_ratings
from recobatch.bayesian import BayesianState
from recobatch.blas import one_blas_thread
from recobatch.errors import BadInput, RatingsNotFound
from recobatch.features import Features
from recobatch.interest_model import InterestModel
from recobatch.model_folder import (
    CALIBRATION_FILE,
    INTEREST_FILE,
    LoadedModel,
    ModelFolder,
    load_interest,
)
from recobatch.scoring.closed_form import CurrentFeatures, follow_ratings
from recobatch.scoring.extension import CurrentRatings, extend
from recobatch.scoring.interest_extension import extend_interest
from recobatch.scoring.ratings_delta import RatingsDelta, Unknown
from recobatch.scoring.uncertainty import extend_calibration
from recobatch.sources import datasets
from recobatch.sources.side_files import find_side_files
from recobatch.sources.side_tables import Side, read_side_table_like
from recobatch.storage.fingerprints import file_digest
from recobatch.storage.workspace import StageOutput
from recobatch.vocabulary import Vocabulary


def current_ratings(services: Services, champion: Mapping[str, str]) -> Ratings | None:
    """The ratings that the settings name, else the current state of those that the champion was trained with.

    Args:
        services: Of the run.
        champion: Tags of the champion's version.

    Returns:
        None where none are named and the champion's do not exist any more or are not in its tags: it is then scored as
        it was trained.

    Raises:
        BadInput: If they cannot be read, for any reason but that the champion's do not exist.
    """
    settings, log = services.settings, services.stages.log
    data = settings.data
    if "ratings" not in data.model_fields_set:
        if "ratings" not in champion:
            log("fetch", "no ratings are read: the champion's version has no tag with those that it was trained with")
            return None
        try:
            datasets.resolve(champion["ratings"], cache_dir=data.cache.expanduser())
        except RatingsNotFound as error:
            log("fetch", f"no ratings are read: the champion's do not exist any more ({error})")
            return None
        layout = {**json.loads(champion["ratings_layout"]), **data.model_dump(exclude_unset=True)}
        data = DataSettings.model_validate({**layout, "ratings": champion["ratings"]})
    return ingest_ratings(replace(services, settings=settings.model_copy(update={"data": data})))


@task(name="extend champion", cache_policy=NO_CACHE)
def extend_models(
    services: Services, champion: ToScore, others: Mapping[str, ToScore], ratings: Ratings
) -> tuple[dict[str, ToScore], RatingsDelta]:
    """Count what is new since the champion was trained, and let the models follow the current ratings.

    A sampled champion computes users whose ratings changed, new users and new items in closed form. To another one,
    ``score.unknown=biases`` adds unknown ids. The users' interest is computed from the current ratings. The other
    models have the users and items of the champion.

    Args:
        services: Of the run.
        champion: The champion.
        others: Models of the champion's batch by name.
        ratings: The current ratings.

    Returns:
        The models to be scored by name, the champion first, and what is new.
    """
    unknown: Unknown = "ratings" if champion.files.state.exists() else services.settings.score.unknown
    with services.stages.timed("extend"):
        models = {champion.name: (done := _extend(services, champion, ratings, unknown))}
        for name, model in others.items():
            added: Unknown = "ratings" if model.files.state.exists() else "biases"
            models[name] = _extend(services, model, ratings, "leave_out" if unknown == "leave_out" else added)
    delta = RatingsDelta.from_dict(done.report)
    ids = ("unknown_users", "unknown_items", "gone_users", "gone_items")
    counts = {name: getattr(delta, name).count for name in ids}
    counts |= {"new_ratings": delta.new_ratings, "deleted_ratings": delta.deleted_ratings}
    services.stages.log("extend", str(delta), reused=done.reused, **counts)
    known = {champion.name: champion, **others}
    return {name: replace(known[name], files=ModelFolder(each.path)) for name, each in models.items()}, delta


def _extend(services: Services, model: ToScore, ratings: Ratings, unknown: Unknown) -> StageOutput:
    tags, files = model.tags, model.files
    until = int(tags["newest_rating"]) if "newest_rating" in tags else None
    follows = files.state.exists()
    tables = _side_files(services, ratings) if follows else {}

    def build(out: Path) -> dict[str, Any]:
        known, now = files.load(), _load(ratings)
        extended, delta = extend(known, now, unknown=unknown, trained_until=until)
        with one_blas_thread(), ThreadPoolExecutor(1) as beside:
            moved = beside.submit(_extend_interest, files, known, extended, now, out, complete=delta.complete)
            if follows:
                state = BayesianState.load(files.state)
                features = _features(state, extended, tables)
                extended, _ = follow_ratings(
                    known, extended, state, now, features, complete=delta.complete, n_threads=os.cpu_count() or 1
                )
            extended.save(out).keep(extended, moved.result())
        if (calibration := files.load_calibration()) is not None:
            extend_calibration(calibration, known, extended).save(out / CALIBRATION_FILE)
        return delta.to_dict()

    digests = {side: file_digest(path) for side, path in tables.items()}
    shaped_by = {"model": tags.get("sha256", ""), "until": until, "ratings": ratings.key, "unknown": unknown}
    return services.work.stage("extend", {**shaped_by, "side_tables": digests}, build)


def _extend_interest(
    files: ModelFolder, known: LoadedModel, extended: LoadedModel, now: CurrentRatings, out: Path, *, complete: bool
) -> InterestModel | None:
    """The users' interest of now, written to a file, where the champion has a model of it."""
    if files.interest is None:
        return None
    moved = extend_interest(load_interest(files.interest), known, extended, now, complete=complete)
    moved.save(out / INTEREST_FILE)
    return moved


def _side_files(services: Services, ratings: Ratings) -> dict[Side, Path]:
    """Tables of the users and items that are given, or lie beside the ratings."""
    data = services.settings.data
    named: dict[Side, Path | None] = {"user": data.users, "item": data.items}
    given = {side: path.expanduser() for side, path in named.items() if path is not None}
    return dict(find_side_files(ratings.source, given, cache_dir=data.cache).paths)


def _features(state: BayesianState, extended: LoadedModel, tables: Mapping[Side, Path]) -> CurrentFeatures:
    """Features of the scored ids as the fit's own tables had them; none where a table cannot be read any more."""
    found: dict[str, Features | None] = {}
    sides: tuple[tuple[Side, Features | None, Vocabulary], ...] = (
        ("user", state.users, extended.users), ("item", state.items, extended.items)
    )  # fmt: skip
    for side, fitted, vocabulary in sides:
        if fitted is None or not fitted.n_features or side not in tables:
            continue
        try:
            found[f"{side}s"] = read_side_table_like(tables[side], vocabulary, side, fitted)
        except BadInput as error:
            get_run_logger().warning("the table of the %ss is not used for new ones: %s", side, error)
    return CurrentFeatures(**found)


def _load(ratings: Ratings) -> CurrentRatings:
    encoded = ratings.encoded
    return CurrentRatings(
        ratings.interactions().by_pair(), Vocabulary.load(encoded.users_path), Vocabulary.load(encoded.items_path),
        ratings.report.text_ids,
    )  # fmt: skip
