"""Split the ratings, and measure the baselines."""

from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Services
from flows.outputs import Parts, Ratings
from flows.settings.tree import Settings
from recobatch.evaluation.split_report import SplitReport
from recobatch.interactions import Split
from recobatch.split import split_file


@task(name="split ratings", cache_policy=NO_CACHE)
def split_ratings(services: Services, ratings: Ratings) -> Parts:
    """Split the ratings into train, test and maybe validation, and measure the baselines."""

    def build(out: Path) -> dict[str, Any]:
        split_file(ratings.encoded.interactions_path, services.settings.split, out)
        return SplitReport.of(Split.load(out, times=False)).to_json()

    with services.stages.timed("split"):
        done = services.work.stage(*split_stage(services.settings, ratings), build)
    parts = Parts.of(done)
    sizes = parts.report.sizes
    message = ", ".join(f"{n:,} {part}" for part, n in sizes.items())
    services.stages.log("split", message, reused=done.reused, **sizes)
    return parts


def split_stage(settings: Settings, ratings: Ratings) -> tuple[str, dict[str, Any]]:
    """Name of the stage that splits the ratings, and what shapes its output."""
    return "split", {"encoded": ratings.key, "options": settings.split.model_dump()}
