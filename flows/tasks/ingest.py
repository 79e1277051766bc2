"""Fetch, read, check and encode the ratings."""

from dataclasses import replace
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from flows.job import Services
from flows.outputs import Ratings
from recobatch.addresses import without_secrets
from recobatch.encode import Encoded, encode
from recobatch.errors import RatingsUnreachable, RecobatchError
from recobatch.ingest import IngestReport, ingest
from recobatch.sources import datasets
from recobatch.sources.datasets import Source
from recobatch.sources.titles import choose_titles


def is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a failure may not recur: what was refused on purpose stays refused."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, RatingsUnreachable) or not isinstance(error, RecobatchError)


@task(
    name="ingest ratings",
    retries=2,
    retry_delay_seconds=[1, 5],
    retry_condition_fn=is_transient,
    cache_policy=NO_CACHE,
)
def ingest_ratings(services: Services) -> Ratings:
    """Fetch, read, check and encode the ratings; invalid rows are quarantined with the reason."""
    source = _fetch(services)
    report = _ingest(services, source)
    stages, work = services.stages, services.work
    with stages.timed("encode"):
        shaped_by = {"ratings": report.fingerprint}
        done = work.stage("encode", shaped_by, lambda out: encode(report.ratings_path, out).to_json())
    ratings = Ratings(source, report, Encoded.from_json(done.report, done.path), done.key)
    sizes = {"users": ratings.n_users, "items": ratings.n_items}
    stages.log("encode", f"{ratings.n_users:,} users × {ratings.n_items:,} items", reused=done.reused, **sizes)
    return ratings


def _fetch(services: Services) -> Source:
    """The file behind the ratings' name, and its layout."""
    data = services.settings.data
    with services.stages.timed("fetch") as progress:
        cache = data.cache.expanduser()
        source = datasets.resolve(data.ratings, cache_dir=cache, on_progress=progress.download)
    services.stages.log("fetch", f"{source.name} from {without_secrets(source.uri)}")
    titles = choose_titles(data.items, source.titles)
    return replace(source, read=source.read.updated(data.read_options()), titles=titles)


def _ingest(services: Services, source: Source) -> IngestReport:
    """The clean ratings."""
    options = services.settings.ingest
    with services.stages.timed("ingest"):
        origin = datasets.origin_fingerprint(source)
        shaped_by = {"origin": origin, "read": source.read.model_dump(), "options": options.model_dump()}
        done = services.work.stage(
            "ingest", shaped_by, lambda out: ingest(source.uri, source.read, options, out).to_json()
        )
        report = IngestReport.from_json(done.report, done.path)
    counts = {"ratings": report.ratings, "quarantined": report.quarantined}
    message = f"{report.ratings:,} ratings, {report.quarantined:,} quarantined"
    services.stages.log("ingest", message, reused=done.reused, **counts)
    return report
