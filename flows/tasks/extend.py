"""The champion, extended to the current ratings: what is new since its training, and unknown users and items."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Services
from flows.outputs import Ratings, ToScore
from flows.settings.sections import DataSettings
from flows.tasks.ingest import ingest_ratings
from recobatch.errors import RatingsNotFound
from recobatch.model_folder import INTEREST_FILE, ModelFolder, load_interest
from recobatch.scoring.extension import CurrentRatings, RatingsDelta, extend
from recobatch.scoring.interest_extension import extend_interest
from recobatch.sources import datasets
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
def extend_champion(services: Services, champion: ToScore, ratings: Ratings) -> tuple[ToScore, RatingsDelta]:
    """Count what is new since the champion was trained, and with ``score.unknown=biases`` add unknown ids.

    The users' interest is computed from the current ratings.

    Returns:
        The champion to be scored, and what is new.
    """
    tags, unknown = champion.tags, services.settings.score.unknown
    until = int(tags["newest_rating"]) if "newest_rating" in tags else None

    def build(out: Path) -> dict[str, Any]:
        known, now = champion.files.load(), _load(ratings)
        extended, delta = extend(known, now, unknown=unknown, trained_until=until)
        extended.save(out)
        if (interest := champion.files.interest) is not None:
            extend_interest(load_interest(interest), known, extended, now).save(out / INTEREST_FILE)
        return delta.to_dict()

    with services.stages.timed("extend"):
        shaped_by = {"champion": tags.get("sha256", ""), "until": until, "ratings": ratings.key, "unknown": unknown}
        done = services.work.stage("extend", shaped_by, build)
    delta = RatingsDelta.from_dict(done.report)
    users, items = delta.unknown_users.count, delta.unknown_items.count
    counts = {"new_ratings": delta.new_ratings, "unknown_users": users, "unknown_items": items}
    services.stages.log("extend", str(delta), reused=done.reused, **counts)
    return replace(champion, files=ModelFolder(done.path)), delta


def _load(ratings: Ratings) -> CurrentRatings:
    encoded = ratings.encoded
    return CurrentRatings(
        ratings.interactions(), Vocabulary.load(encoded.users_path), Vocabulary.load(encoded.items_path)
    )  # fmt: skip
