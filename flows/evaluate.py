"""Every model on several folds of the ratings; nothing is registered or published."""

from typing import Any

from flows.job import closing, open_services
from flows.results.notification import job_flow
from flows.settings.tree import Settings
from flows.tasks.evaluation import finish_evaluation, start_runs, track_fold, with_page
from flows.tasks.folds import measure_fold, plan_folds
from flows.tasks.ingest import ingest_ratings
from flows.tasks.side_tables import with_side_tables
from recobatch.evaluation.folds import FoldOptions


@job_flow("evaluate-models")
def evaluate_models(
    settings: Settings = Settings(),  # noqa: B008 - it is frozen
    folds: FoldOptions = FoldOptions(),  # noqa: B008 - likewise
    fresh: bool = False,
) -> dict[str, Any]:
    """Train and measure every model on each fold, and compare the models.

    Args:
        settings: Every setting of the job.
        folds: How often, and how, the ratings are divided.
        fresh: Redo every stage, reuse nothing.
    """
    services = open_services(settings, fresh=fresh)
    with closing(services):
        ratings = with_side_tables(services, ingest_ratings(services))
        plan = plan_folds(services, ratings, folds)
        job = services.begin()
        runs = start_runs(job, ratings, plan)
        measured = []
        for number, fold in enumerate(plan.folds, 1):
            measured.append(measure_fold(job, ratings, plan, fold))
            track_fold(runs, measured[-1], number)
        result = with_page(job, finish_evaluation(job, ratings, plan, measured, runs), runs)
    return result.to_dict()
