"""The result of a flow run as its page in Prefect shows it."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.artifacts import create_markdown_artifact

from flows.job import Services
from flows.results.choice import choice_remarks
from flows.results.comparison import Comparison, ComparisonRow, shown
from flows.results.rankings import remarks
from flows.results.summarize import at_end
from flows.results.summary import BatchSummary, Change, DataSummary
from flows.results.uncertainty import uncertainty_remarks
from flows.server.outage import is_reachable
from recobatch.addresses import without_secrets
from recobatch.errors import GateRefused
from recobatch.escaping import code_markdown, plain_markdown

log = logging.getLogger("prefect.flows.result")


def show_result(services: Services, key: str, summary: BatchSummary, refused: str = "") -> None:
    """Put the result on the run's page.

    Args:
        services: Of the run.
        key: Kind of the result; with the table's place it is the key of the artifact, whose history Prefect shows.
        summary: The result.
        refused: Why nothing was published, where a gate refused it.
    """
    tracking = without_secrets(services.settings.tracking.resolve_uri(services.root))
    text = markdown(summary, tracking=tracking, root=services.root, refused=refused)
    try:
        if not is_reachable(now=True):  # Prefect's client would try for a quarter of a minute
            raise ConnectionError("the Prefect server is unreachable")
        create_markdown_artifact(text, key=artifact_key(services, key), description=_in_short(summary, refused))
    except Exception as error:  # noqa: BLE001 - what was published counts, whether a page shows it or not
        log.warning("the result is not on the run's page: %s", error)


def artifact_key(services: Services, kind: str) -> str:
    """Key of the artifact of a result: one for every table, since a server may hold the results of many.

    Prefect takes lower-case letters, digits and dashes: the table ``/srv/a_b/predictions`` has the key
    ``batch-result-srv-a-b-predictions``.
    """
    place = without_secrets(_place(services.settings.table.path, services.root)).lower()
    return f"{kind}-{re.sub('[^a-z0-9]+', '-', place).strip('-')}"


@contextmanager
def refusals_shown(services: Services, key: str, summary: BatchSummary) -> Iterator[None]:
    """Put a batch's figures on the run's page if a gate refuses it within the block."""
    try:
        yield
    except GateRefused as refusal:
        show_result(services, key, at_end(services, summary), refused=str(refusal))
        raise


def markdown(summary: BatchSummary, *, tracking: str, root: Path, refused: str = "") -> str:
    """The text of the page.

    Args:
        summary: The result.
        tracking: MLflow's address, without credentials.
        root: Project root; relative paths of the summary begin there.
        refused: Why nothing was published, where a gate refused it.
    """
    parts = [f"## {_headline(summary, refused)}"]
    if refused:
        parts.append(f"> {plain_markdown(refused)}")
    parts += [
        _data(summary),
        "\n".join(_models(Comparison.of(summary))),
        plain_markdown(" ".join((*choice_remarks(summary), *uncertainty_remarks(summary), *remarks(summary)))),
    ]
    if summary.change is not None:
        parts.append(_change(summary.change))
    parts += [_table(summary, root), "\n".join(_links(summary, tracking, root)), "\n".join(_timings(summary))]
    return "\n\n".join(part for part in parts if part)


def _headline(summary: BatchSummary, refused: str) -> str:
    if refused:
        return "Refused: nothing was published"
    current = summary.table.version if summary.table else ""
    if summary.rolled_back:
        return f"Nothing published: version {summary.rolled_back} was rolled back, version {current} is current"
    if summary.unchanged:
        return f"Nothing new since version {current}, which is current"
    return f"The champion is {summary.champion}"


def _in_short(summary: BatchSummary, refused: str) -> str:
    """For the card that links to the page."""
    if refused or summary.unchanged:
        return _headline(summary, refused)
    error = summary.models[summary.champion].test_mse
    measured = "" if error is None else f", test MSE {error:.4f}"
    return f"{summary.champion}{measured}; {_sizes(summary.data)}"


def _data(summary: BatchSummary) -> str:
    data = summary.data
    quarantined = f"; {data.quarantined:,} rows quarantined" if data.quarantined else ""
    source = f" from {code_markdown(data.source)}" if data.source is not None else ""
    news = f"\n\nCurrent ratings: {plain_markdown(data.news['told'])}." if data.news else ""
    return f"Batch `{summary.batch_id}`: {_sizes(data)}{source}{quarantined}.{news}"


def _sizes(data: DataSummary) -> str:
    sizes = {"ratings": data.ratings, "users": data.users, "items": data.items}
    return ", ".join(f"{size:,} {name}" for name, size in sizes.items() if size is not None) or "sizes unknown"


def _models(comparison: Comparison) -> Iterator[str]:
    ndcg, recall = comparison.list_headings
    yield f"| model | test MSE | test RMSE | test MAE | {ndcg} | {recall} | in 90 % | width | epochs | predictions |"
    yield "|:--|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for row in comparison.rows:
        errors = " | ".join(
            shown(error, ".4f") for error in (row.test_mse, row.test_rmse, row.test_mae, row.ndcg, row.recall)
        )
        intervals = f"{shown(row.coverage, '.1%')} | {shown(row.width, '.2f')}"
        yield f"| {_name(row)} | {errors} | {intervals} | {shown(row.epochs)} | {shown(row.predictions)} |"


def _name(row: ComparisonRow) -> str:
    if row.is_baseline:
        return f"*baseline: {row.name.replace('_', ' ')}*"
    linked = f"[{row.name}]({row.url})" if row.url else row.name
    return f"**{linked}** ★" if row.is_champion else linked


def _change(change: Change) -> str:
    now = change.champion_now
    was = change.champion_before
    lines = [f"champion changed from {was} to **{now}**" if change.champion_changed else f"champion still {now}"]
    if change.data:
        lines.append(", ".join(f"{name} {size:+,}" for name, size in change.data.items()))
    if change.overlap_at_10 is not None:
        lines.append(f"a user's ten best items have {change.overlap_at_10:.0%} in common with the published ten")
    for name, errors in change.models.items():
        lines.append(f"{name}: test " + ", ".join(f"{key[5:].upper()} {error:+.4f}" for key, error in errors.items()))
    return "\n".join([f"### Since {change.since}", "", *(f"- {line}" for line in lines)])


def _table(summary: BatchSummary, root: Path) -> str:
    if summary.table is None:
        return ""
    return f"### The table\n\nVersion `{summary.table.version}` in {code_markdown(_place(summary.table.path, root))}"


def _links(summary: BatchSummary, tracking: str, root: Path) -> Iterator[str]:
    """Links to MLflow's pages where it has some; else the command that shows them."""
    yield "### Look closer\n"
    pages = {name: model.mlflow_url for name, model in summary.models.items() if model.mlflow_url}
    if len(pages) > 1:
        yield f"- [The models side by side in MLflow]({_compare(list(pages.values()))})"
    for name, url in pages.items():
        yield f"- [{name} in MLflow]({url})"
    if not pages:
        runs = " and ".join(f"`{model.mlflow_run_id}`" for model in summary.models.values())
        yield f"- In MLflow: {code_markdown(f'mlflow ui --backend-store-uri {tracking}')}, then {runs}"
    places = [f"[in MLflow]({page}/artifacts/report.html)" for page in list(pages.values())[:1]]
    if summary.report:
        places.append(code_markdown(_place(summary.report, root)))
    if places:
        yield f"- The report: {', and '.join(places)}"


def _compare(pages: list[str]) -> str:
    """MLflow's page that compares runs, from the pages of the runs."""
    base, _, _ = pages[0].partition("/#/")
    experiment = pages[0].split("/experiments/")[1].split("/")[0]
    runs = [page.rsplit("/", 1)[1] for page in pages]
    query = f"runs={json.dumps(runs)}&experiments={json.dumps([experiment])}".replace('"', "%22").replace(" ", "")
    return f"{base}/#/compare-runs?{query}"


def _timings(summary: BatchSummary) -> Iterator[str]:
    yield f"### {summary.seconds:.1f} seconds\n"
    yield "| stage | seconds |"
    yield "|:--|--:|"
    for stage, seconds in summary.timings.items():
        reused = " (reused)" if stage in summary.reused else ""
        if seconds >= 0.005 or reused:
            yield f"| {stage}{reused} | {seconds:.2f} |"


def _place(path: str, root: Path) -> str:
    """An absolute path, since a reader may be anywhere; a URI as it is."""
    return path if "://" in path else str(root / path)
