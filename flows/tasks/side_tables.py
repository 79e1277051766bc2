"""Read the side tables of users and items, for the models that use them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from flows.job import Services
from flows.outputs import Ratings, SideTables
from recobatch.errors import BadInput
from recobatch.models import find_model
from recobatch.sources.side_files import SideFiles, find_side_files
from recobatch.sources.side_tables import Side, read_side_table
from recobatch.storage.fingerprints import file_digest
from recobatch.vocabulary import Vocabulary


@task(name="read side tables", cache_policy=NO_CACHE)
def with_side_tables(services: Services, ratings: Ratings) -> Ratings:
    """The ratings with the features of their users and items; none where no model uses them and no table is given.

    A table that was found beside the ratings and cannot be used is left out with a warning; one that the settings name
    is an error.
    """
    data = services.settings.data
    named: dict[Side, Path | None] = {"user": data.users, "item": data.items}
    given = {side: path.expanduser() for side, path in named.items() if path is not None}
    uses = any(find_model(name).uses_features for name in services.settings.models)
    if not (given or uses):
        return ratings
    with services.stages.timed("side tables") as progress:
        files = find_side_files(ratings.source, given, cache_dir=data.cache, on_progress=progress.download)
        if not files.paths and not files.missing:
            return ratings
        digests = {side: file_digest(path) for side, path in files.paths.items()}
        shaped_by = {"encoded": ratings.key, "files": digests, "given": sorted(files.given)}
        shaped_by["paths"] = {side: str(path) for side, path in files.paths.items()}
        done = services.work.stage("side-tables", shaped_by, lambda out: _read(ratings, files, out))
    reports = {**done.report, **{f"{side}s": {"left_out": reason} for side, reason in files.missing.items()}}
    for side, report in reports.items():
        if "left_out" in report:
            get_run_logger().warning("the table of the %s is not used: %s", side, report["left_out"])
    used = [f"{side}: {_used(report)}" for side, report in reports.items()]
    services.stages.log("side tables", "; ".join(used), reused=done.reused)
    return replace(ratings, side=SideTables(done.path, done.key, reports))


def _read(ratings: Ratings, files: SideFiles, out: Path) -> dict[str, Any]:
    reports: dict[str, Any] = {}
    for side, path in files.paths.items():
        vocabulary = Vocabulary.load(ratings.encoded.users_path if side == "user" else ratings.encoded.items_path)
        try:
            features, report = read_side_table(path, vocabulary, side)
        except BadInput as error:
            if side in files.given:
                raise
            reports[f"{side}s"] = {"path": str(path), "left_out": str(error)}
            continue
        features.save(out / f"{side}s.npz")
        reports[f"{side}s"] = report.to_dict()
    return reports


def _used(report: dict[str, Any]) -> str:
    columns = [column["name"] for column in report.get("columns", ()) if column["used_as"]]
    return ", ".join(columns) or "no column"
