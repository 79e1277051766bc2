"""The champion brought up to the ratings of now: what is new since it was trained, and whom it does not know."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job
from flows.outputs import Ratings
from flows.settings.sections import DataSettings
from flows.tasks.ingest import ingest_ratings
from recobatch.errors import RatingsNotFound
from recobatch.model_folder import ModelFolder
from recobatch.scoring.extension import CurrentRatings, RatingsDelta, extend
from recobatch.sources import datasets
from recobatch.vocabulary import Vocabulary


def current_ratings(job: Job, champion: Mapping[str, str]) -> Ratings | None:
    """The ratings that the settings name, else those that the champion was trained with, as they are now.

    Args:
        job: The batch.
        champion: Tags of the champion's version.

    Returns:
        None where none are named and the champion's are gone or were never told: it is then scored as it was trained.

    Raises:
        BadInput: If they cannot be read, for any reason but that the champion's are gone.
    """
    data = job.settings.data
    if "ratings" not in data.model_fields_set:
        if "ratings" not in champion:
            job.tell("fetch", "the champion's version does not say which ratings it was trained with: none are read")
            return None
        try:
            datasets.resolve(champion["ratings"], cache_dir=data.cache.expanduser())
        except RatingsNotFound as error:
            job.tell("fetch", f"the champion's ratings are gone, so none are read ({error})")
            return None
        told = {**json.loads(champion["ratings_layout"]), **data.model_dump(exclude_unset=True)}
        data = DataSettings.model_validate({**told, "ratings": champion["ratings"]})
    return ingest_ratings(replace(job, settings=job.settings.model_copy(update={"data": data})))


@task(name="extend champion", cache_policy=NO_CACHE)
def extend_champion(
    job: Job, champion: ModelFolder, tags: Mapping[str, str], ratings: Ratings
) -> tuple[ModelFolder, RatingsDelta]:
    """Count what is new since the champion was trained, and take in what it does not know where that is asked for."""
    until = int(tags["newest_rating"]) if "newest_rating" in tags else None
    unknown = job.settings.score.unknown

    def build(out: Path) -> dict[str, Any]:
        extended, news = extend(champion.load(), _loaded(ratings), unknown=unknown, trained_until=until)
        extended.save(out)
        return news.to_dict()

    with job.stage("extend"):
        shaped_by = {"champion": tags.get("sha256", ""), "until": until, "ratings": ratings.key, "unknown": unknown}
        done = job.work.stage("extend", shaped_by, build)
    news = RatingsDelta.from_dict(done.report)
    counts = {"new_ratings": news.new_ratings, "unknown_users": news.unknown_users.count}
    job.tell("extend", str(news), reused=done.reused, unknown_items=news.unknown_items.count, **counts)
    return ModelFolder(done.path), news


def _loaded(ratings: Ratings) -> CurrentRatings:
    users, items = (Vocabulary.load(ratings.folder / f"{name}.parquet") for name in ("users", "items"))
    return CurrentRatings(ratings.interactions(), users, items)
