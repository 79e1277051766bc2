"""Track an evaluation in MLflow, and summarize its folds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Job
from flows.outputs import Ratings
from flows.results.evaluation import EvaluationResult
from flows.results.evaluation_page import evaluation_report
from flows.tasks.fingerprints import shaping_settings
from flows.tasks.folds import FoldPlan
from recobatch.addresses import without_secrets
from recobatch.evaluation.fold_results import BASELINES, FoldFigures, compare_pairs, summarize_folds
from recobatch.evaluation.significance import Spread
from recobatch.report.evaluation_page import write_evaluation_page
from recobatch.tracking import TrackedRun


@task(name="start runs", cache_policy=NO_CACHE)
def start_runs(job: Job, ratings: Ratings, plan: FoldPlan) -> dict[str, TrackedRun]:
    """Begin a run for each model; its metrics have a step for each fold."""
    runs = {}
    for name in job.settings.model_names:
        params = {**shaping_settings(job.settings, name), "folds": plan.options.model_dump(mode="json")}
        runs[name] = job.tracker.start_run(
            batch_id=job.batch_id, model_name=name, params=params, dataset=ratings.info(), group="evaluation_id"
        )
        job.runs.add(runs[name])
    return runs


def track_fold(runs: Mapping[str, TrackedRun], fold: FoldFigures, number: int) -> None:
    """Log the figures of a fold as its step."""
    for name, run in runs.items():
        run.log_metrics(
            {metric: value for metric, value in fold.models[name].items() if value is not None}, step=number
        )


@task(name="summarize folds", cache_policy=NO_CACHE)
def finish_evaluation(
    job: Job, ratings: Ratings, plan: FoldPlan, folds: Sequence[FoldFigures], runs: Mapping[str, TrackedRun]
) -> EvaluationResult:
    """Compare the models over the folds, and log means and spreads."""
    names, k = job.settings.model_names, job.settings.evaluation.k
    summary = summarize_folds(folds)
    tests = compare_pairs(summary, names, ("test_mse", f"ndcg_at_{k}"), test_share=plan.options.test_share)
    for name, run in runs.items():
        run.log_metrics(_means(summary[name]))
    report, source = ratings.report, ratings.source
    figures = {name: {metric: each.to_dict() for metric, each in found.items()} for name, found in summary.items()}
    return EvaluationResult(
        job.batch_id, str(plan.options.method),
        {
            "source": without_secrets(source.uri), "ratings": report.ratings, "users": ratings.n_users,
            "items": ratings.n_items, "quarantined": report.quarantined,
        },
        [fold.sizes() for fold in folds],
        {name: figures[name] for name in names}, {name: figures[name] for name in BASELINES},
        [asdict(test) for test in tests], {name: run.url for name, run in runs.items()}, None, job.stages.reused,
        job.stages.seconds,
    )  # fmt: skip


@task(name="write page", cache_policy=NO_CACHE)
def with_page(job: Job, result: EvaluationResult, runs: Mapping[str, TrackedRun]) -> EvaluationResult:
    """Write the page with pictures, and log it and the result to MLflow; without room on the disk there is none."""
    page = job.root / ".recobatch" / "evaluations" / f"{result.evaluation_id}.html"
    with job.stages.timed("write page"):
        try:
            write_evaluation_page(evaluation_report(result), page)
        except OSError as error:
            get_run_logger().warning("the page is not written: %s", error)
            return result
        result = replace(result, page=str(page.relative_to(job.root)), seconds=job.stages.seconds)
        for run in runs.values():
            run.log_file(page)
            run.log_text(json.dumps(result.to_dict(), indent=2), "evaluation.json")
    return result


def _means(figures: Mapping[str, Spread]) -> dict[str, float]:
    means = {f"mean_{metric}": each.mean for metric, each in figures.items() if each.mean is not None}
    return means | {f"sd_{metric}": each.sd for metric, each in figures.items() if each.sd is not None}
