"""Fetch, read, check and encode the ratings."""

from dataclasses import replace

from prefect import task

from flows.job import Services
from flows.outputs import Ratings
from flows.tasks.retried import RETRIED
from recobatch.addresses import without_secrets
from recobatch.encode import Encoded, encode
from recobatch.ingest import IngestReport, ingest
from recobatch.sources import datasets
from recobatch.sources.datasets import Source
from recobatch.sources.titles import choose_titles


@task(name="ingest ratings", **RETRIED)
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
