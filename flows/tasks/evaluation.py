"""Track an evaluation in MLflow, and summarize its folds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job
from flows.outputs import Ratings
from flows.results.evaluation import EvaluationResult
from flows.tasks.fingerprints import shaping_settings
from flows.tasks.folds import FoldPlan
from recobatch.addresses import without_secrets
from recobatch.evaluation.fold_results import BASELINES, FoldFigures, compare_pairs, summarize_folds
from recobatch.evaluation.significance import Spread
from recobatch.tracking import TrackedRun


@task(name="start runs", cache_policy=NO_CACHE)
def start_runs(job: Job, ratings: Ratings, plan: FoldPlan) -> dict[str, TrackedRun]:
    """Begin a run for each model; its metrics have a step for each fold."""
    runs = {}
    for name in job.settings.model_names:
        params = {**shaping_settings(job.settings, name), "folds": plan.options.model_dump(mode="json")}
        runs[name] = job.tracker.start_run(
            batch_id=job.batch_id, model_name=name, params=params, dataset=ratings.info()
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


def _means(figures: Mapping[str, Spread]) -> dict[str, float]:
    means = {f"mean_{metric}": each.mean for metric, each in figures.items() if each.mean is not None}
    return means | {f"sd_{metric}": each.sd for metric, each in figures.items() if each.sd is not None}
