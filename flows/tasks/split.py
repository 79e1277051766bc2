"""Split the ratings, and measure what a model has to beat."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job
from flows.outputs import (
    Parts,
    Ratings,
    write_parts,
)
from flows.settings.tree import Settings
from recobatch.split import split


@task(name="split ratings", cache_policy=NO_CACHE)
def split_ratings(job: Job, ratings: Ratings) -> Parts:
    """Part the ratings into train, test and maybe validation, and measure what a model has to beat."""
    options = job.settings.split
    with job.stage("split"):
        done = job.work.stage(
            *split_stage(job.settings, ratings), lambda out: write_parts(split(ratings.interactions(), options), out)
        )
    parts = Parts.of(done)
    job.tell("split", ", ".join(f"{n:,} {part}" for part, n in parts.sizes.items()), reused=done.reused, **parts.sizes)
    return parts


def split_stage(settings: Settings, ratings: Ratings) -> tuple[str, dict[str, Any]]:
    """Name of the stage that parts the ratings, and what shapes its output."""
    return "split", {"encoded": ratings.key, "options": settings.split.model_dump()}
