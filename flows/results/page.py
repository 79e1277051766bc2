"""The result of a flow run as its page in Prefect shows it."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.artifacts import create_markdown_artifact

from flows.results import summary
from flows.server.outage import is_reachable
from recobatch.errors import GateRefused

if TYPE_CHECKING:
    from flows.job import Job

log = logging.getLogger("prefect.flows.result")


def show_result(job: Job, key: str, result: Mapping[str, Any], refused: str = "") -> None:
    """Put the result on the run's page.

    Args:
        job: The batch.
        key: Of the artifact; Prefect's page of artifacts shows the history of a key.
        result: The summary.
        refused: Why nothing was published, where a gate said so.
    """
    text = markdown(result, tracking=job.tracker.shown, root=job.root, refused=refused)
    try:
        if not is_reachable():  # Prefect's client would try for a quarter of a minute
            raise ConnectionError("the Prefect server is unreachable")
        create_markdown_artifact(text, key=key, description=_in_short(result, refused))
    except Exception as error:  # noqa: BLE001 - what was published stands, whether a page shows it or not
        log.warning("the result is not on the run's page: %s", error)


@contextmanager
def refusals_shown(job: Job, key: str, result: Mapping[str, Any]) -> Iterator[None]:
    """Put what is known of the batch on the run's page if a gate refuses it within the block."""
    try:
        yield
    except GateRefused as refusal:
        show_result(job, key, summary.closed(job, result), refused=str(refusal))
        raise


def markdown(result: Mapping[str, Any], *, tracking: str, root: Path, refused: str = "") -> str:
    """The result as the run page shows it.

    Args:
        result: The summary.
        tracking: MLflow's address, without credentials.
        root: Project root; relative paths of the summary begin there.
        refused: Why nothing was published, where a gate said so.
    """
    parts = [f"## {_headline(result, refused)}"]
    if refused:
        parts.append(f"> {_plain(refused)}")
    parts += [_data(result), "\n".join(_models(result))]
    if change := result.get("change"):
        parts.append(_change(change))
    parts += [_table(result, root), "\n".join(_links(result, tracking, root)), "\n".join(_timings(result))]
    return "\n\n".join(part for part in parts if part)


def _headline(result: Mapping[str, Any], refused: str) -> str:
    if refused:
        return "Refused: the table stands as it was"
    if back := result.get("rolled_back"):
        return f"Nothing published: version {back} was rolled back, version {result['table']['version']} stands"
    if result.get("unchanged"):
        return f"Nothing new since version {result['table']['version']}: it stands"
    return f"The champion is {result['champion']}"


def _in_short(result: Mapping[str, Any], refused: str) -> str:
    """For the card that leads to the page."""
    if refused or result.get("unchanged"):
        return _headline(result, refused)
    error = result["models"][result["champion"]].get("test_mse")
    measured = "" if error is None else f", test MSE {error:.4f}"
    return f"{result['champion']}{measured}; {_sizes(result['data'])}"


def _data(result: Mapping[str, Any]) -> str:
    data = result["data"]
    aside = f"; {data['quarantined']:,} rows set aside" if data.get("quarantined") else ""
    source = f" from `{data['source']}`" if "source" in data else ""
    news = f"\n\nThe ratings of now: {_plain(data['news']['told'])}." if data.get("news") else ""
    return f"Batch `{result['batch_id']}`: {_sizes(data)}{source}{aside}.{news}"


def _sizes(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{data[name]:,} {name}" for name in ("ratings", "users", "items") if name in data)


def _models(result: Mapping[str, Any]) -> Iterator[str]:
    rows = result.get("table", {}).get("rows", {})
    yield "| model | test MSE | test RMSE | test MAE | epochs | predictions |"
    yield "|:--|--:|--:|--:|--:|--:|"
    for name, model in result["models"].items():
        shown = f"[{name}]({model['mlflow_url']})" if model.get("mlflow_url") else name
        if name == result["champion"]:
            shown = f"**{shown}** ★"
        errors = " | ".join(_figure(model.get(key)) for key in ("test_mse", "test_rmse", "test_mae"))
        epochs = len(model["loss"]) if "loss" in model else "–"
        predictions = f"{rows[name]:,}" if name in rows else "–"
        yield f"| {shown} | {errors} | {epochs} | {predictions} |"
    for name, baseline in result.get("baselines", {}).items():
        mse = baseline["test_mse"]
        yield f"| *baseline: {name.replace('_', ' ')}* | {mse:.4f} | {math.sqrt(mse):.4f} | – | – | – |"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _change(change: Mapping[str, Any]) -> str:
    before, now = change["champion"]["before"], change["champion"]["now"]
    lines = [f"champion changed from {before} to **{now}**" if change["champion_changed"] else f"champion still {now}"]
    if change["data"]:
        lines.append(", ".join(f"{name} {size:+,}" for name, size in change["data"].items()))
    for name, errors in change["models"].items():
        shown = ", ".join(f"{key[5:].upper()} {error:+.4f}" for key, error in errors.items())
        lines.append(f"{name}: test {shown}")
    return "\n".join([f"### Since {change['since']}", "", *(f"- {line}" for line in lines)])


def _table(result: Mapping[str, Any], root: Path) -> str:
    if "table" not in result:
        return ""
    table = result["table"]
    return f"### The table\n\nVersion `{table['version']}` in `{_shown(table['path'], root)}`"


def _links(result: Mapping[str, Any], tracking: str, root: Path) -> Iterator[str]:
    """Pages where MLflow has some; else how to get them."""
    yield "### Look closer\n"
    pages = {name: url for name, model in result["models"].items() if (url := model.get("mlflow_url"))}
    if len(pages) > 1:
        yield f"- [The models side by side in MLflow]({_compare(list(pages.values()))})"
    for name, url in pages.items():
        yield f"- [{name} in MLflow]({url})"
    if not pages:
        runs = " and ".join(f"`{model['mlflow_run_id']}`" for model in result["models"].values())
        yield f"- In MLflow: `mlflow ui --backend-store-uri {tracking}`, then {runs}"
    places = [f"[in MLflow]({page}/artifacts/report.html)" for page in list(pages.values())[:1]]
    if report := result.get("report"):
        places.append(f"`{_shown(report, root)}`")
    if places:
        yield f"- The report for people: {', and '.join(places)}"


def _compare(pages: list[str]) -> str:
    """MLflow's page that compares runs, from the pages of the runs."""
    base, _, _ = pages[0].partition("/#/")
    experiment = pages[0].split("/experiments/")[1].split("/")[0]
    runs = [page.rsplit("/", 1)[1] for page in pages]
    query = f"runs={json.dumps(runs)}&experiments={json.dumps([experiment])}".replace('"', "%22").replace(" ", "")
    return f"{base}/#/compare-runs?{query}"


def _timings(result: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {result['seconds']:.1f} seconds\n"
    yield "| stage | seconds |"
    yield "|:--|--:|"
    for stage, seconds in result["timings"].items():
        if seconds < 0.005 and stage not in result.get("reused", ()):
            continue
        reused = " (reused)" if stage in result.get("reused", ()) else ""
        yield f"| {stage}{reused} | {seconds:.2f} |"


def _shown(path: str, root: Path) -> str:
    """Where it is, whoever asks from wherever; an address stays as it is."""
    return path if "://" in path else str(root / path)


def _plain(text: str) -> str:
    """Text with ids of users and items in it, which are anybody's words, kept from acting as markdown or HTML."""
    return re.sub(r"([\\`*\[\]|])", r"\\\1", text).replace("<", "&lt;")
