"""Train the model of interest, with a run of its own in MLflow."""

import json
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job
from flows.outputs import Parts, Ratings, TrainedInterest
from flows.settings.tree import INTEREST, Settings
from flows.tasks.fingerprints import has_bayesian, interest_settings
from recobatch.evaluation.rankings import relevance_threshold
from recobatch.interest.fit import InterestInputs, fit_interest


def train_interest(job: Job, ratings: Ratings, parts: Parts) -> TrainedInterest | None:
    """Train and track the model of interest; None where the settings want none."""
    if job.settings.interest.method == "none":
        return None
    interest = train_interest_model(job, ratings, parts)
    if INTEREST not in job.resumed:
        track_interest(job, interest, ratings, parts)
    return interest


@task(name="train interest", cache_policy=NO_CACHE)
def train_interest_model(job: Job, ratings: Ratings, parts: Parts) -> TrainedInterest:
    """Choose and train the model to measure on the training part, and the model to publish on all ratings."""
    settings = job.settings
    if (run := job.resumed.get(INTEREST)) is None:
        run = job.tracker.start_run(
            batch_id=job.batch_id, model_name=INTEREST, params=interest_settings(settings), dataset=ratings.info()
        )
        job.runs.add(run)
    with job.stages.timed("train interest"):
        done = job.work.stage(
            *interest_stage(settings, parts), lambda out: fit_interest(_inputs(settings, ratings, parts), out).to_json()
        )
    interest = TrainedInterest.of(done, run)
    report = interest.training.report
    job.stages.log(
        "train interest", f"{report.chosen}; held-out ratings are best ranked by {report.rank_by}", reused=done.reused,
        trials=len(report.trials),
    )  # fmt: skip
    return interest


@task(name="track interest", retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE)
def track_interest(job: Job, interest: TrainedInterest, ratings: Ratings, parts: Parts) -> None:
    """Log the choice, the trials and the model to MLflow; it becomes part of every registered version."""
    run, training = interest.run, interest.training
    with job.stages.timed("track"):
        run.log_params({"chosen": training.report.chosen, "rank_by": training.report.rank_by})
        run.log_metrics(training.metrics())
        run.log_facts({**ratings.facts(), **parts.report.metrics()})
        run.log_text(json.dumps(training.report.to_dict(), indent=2), "trials.json")
        run.log_file(interest.published, "interest")


def interest_stage(settings: Settings, parts: Parts) -> tuple[str, dict[str, Any]]:
    """Name of the stage that trains the model of interest, and what shapes its output."""
    return "train-interest", {"parts": parts.key, "settings": interest_settings(settings)}


def relevant_rating(settings: Settings, ratings: Ratings) -> float:
    """Lowest rating of a relevant item."""
    return relevance_threshold(ratings.interactions().rating, settings.evaluation)


def _inputs(settings: Settings, ratings: Ratings, parts: Parts) -> InterestInputs:
    return InterestInputs(
        parts.load(), ratings.interactions(), ratings.range_of(settings.ingest), relevant_rating(settings, ratings),
        settings.interest, settings.evaluation.k, settings.seed, has_bayesian(settings),
    )  # fmt: skip
