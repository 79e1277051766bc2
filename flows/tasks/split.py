"""Split the ratings, and measure the baselines."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Services
from flows.outputs import Parts, Ratings
from flows.settings.tree import Settings
from recobatch.evaluation.split_report import SplitReport
from recobatch.file_order import find_order
from recobatch.interactions import EncodedInteractions, Split
from recobatch.sources.titles import title_order
from recobatch.split import split_file
from recobatch.storage.fingerprints import file_digest
from recobatch.vocabulary import Vocabulary


@task(name="split ratings", cache_policy=NO_CACHE)
def split_ratings(services: Services, ratings: Ratings) -> Parts:
    """Split the ratings into train, test and maybe validation, and measure the baselines."""
    options = services.settings.split

    def build(out: Path) -> dict[str, Any]:
        path = ratings.encoded.interactions_path
        order = find_order(EncodedInteractions.blocks(path), _title_order(ratings))
        chosen = options.resolved(order)
        split_file(path, chosen, out)
        return SplitReport.of(Split.load(out, times=False), chosen.method, order.sorted_by).to_json()

    with services.stages.timed("split"):
        done = services.work.stage(*split_stage(services.settings, ratings), build)
    parts = Parts.of(done)
    if remark := parts.report.remark(options.by):
        is_fair = parts.report.method != "stratified"
        get_run_logger().log(logging.INFO if is_fair else logging.WARNING, remark)
    sizes = parts.report.sizes
    message = ", ".join(f"{n:,} {part}" for part, n in sizes.items())
    services.stages.log("split", message, reused=done.reused, **sizes)
    return parts


def split_stage(settings: Settings, ratings: Ratings) -> tuple[str, dict[str, Any]]:
    """Name of the stage that splits the ratings, and what shapes its output."""
    titles = ratings.source.titles
    named = {"titles": file_digest(titles)} if titles else {}
    return "split", {"encoded": ratings.key, "options": settings.split.model_dump(), **named}


def _title_order(ratings: Ratings) -> np.ndarray | None:
    """Place of each item in the order of the titles."""
    titles = ratings.titles()
    return None if titles is None else title_order(titles, Vocabulary.load(ratings.encoded.items_path))
