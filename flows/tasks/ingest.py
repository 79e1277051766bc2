"""Fetch, read, check and encode the ratings."""

from dataclasses import replace
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from flows.job import Job
from flows.outputs import (
    Ratings,
    report_in,
    report_of,
    sizes_of,
)
from recobatch.addresses import without_secrets
from recobatch.encode import encode
from recobatch.errors import RatingsUnreachable, RecobatchError
from recobatch.ingest import ingest
from recobatch.sources import datasets
from recobatch.storage.workspace import source_fingerprint


def is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a failure may be gone in a moment: what was refused on purpose stays refused."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, RatingsUnreachable) or not isinstance(error, RecobatchError)


@task(
    name="ingest ratings",
    retries=2,
    retry_delay_seconds=[1, 5],
    retry_condition_fn=is_transient,
    cache_policy=NO_CACHE,
)
def ingest_ratings(job: Job) -> Ratings:
    """Fetch, read, check and encode the ratings; unsound rows are set aside with the reason."""
    settings = job.settings
    with job.stage("fetch") as line:
        cache = settings.data.cache.expanduser()
        source = datasets.resolve(settings.data.ratings, cache_dir=cache, on_progress=line.download)
        origin = source_fingerprint(source.uri)
    job.tell("fetch", f"{source.name} from {without_secrets(source.uri)}")
    read = source.read.updated(settings.data.read_options())
    source = replace(source, read=read)
    with job.stage("ingest"):
        shaped_by = {"origin": origin, "read": read.model_dump(), "options": settings.ingest.model_dump()}
        clean = job.work.stage(
            "ingest", shaped_by, lambda out: report_of(ingest(source.uri, read, settings.ingest, out))
        )
        report = report_in(clean)
    counts = {"ratings": report.ratings, "quarantined": report.quarantined}
    job.tell("ingest", f"{report.ratings:,} ratings, {report.quarantined:,} set aside", reused=clean.reused, **counts)
    with job.stage("encode"):
        shaped_by = {"ratings": report.fingerprint}
        encoded = job.work.stage("encode", shaped_by, lambda out: sizes_of(encode(report.ratings_path, out)))
    ratings = Ratings.of(source, report, encoded)
    counts = {"users": ratings.n_users, "items": ratings.n_items}
    job.tell("encode", f"{ratings.n_users:,} users × {ratings.n_items:,} items", reused=encoded.reused, **counts)
    return ratings
