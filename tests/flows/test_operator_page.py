"""What an operator finds on a run's page: the result, the progress, the table as an asset."""

import re
import time

import pytest

from tests.support.flow_runs import MODELS, QUICK, latest_flow_run
from tests.support.flow_servers import tracking_address
from tests.support.prefect_api import post

pytestmark = pytest.mark.long


@pytest.fixture
def few_csv(ratings_csv):
    """A first batch: two thirds of the ratings of every user, all users and items among them."""
    header, *rows = ratings_csv.read_text().splitlines()
    path = ratings_csv.with_name("two-thirds.csv")
    path.write_text("\n".join([header, *(row for number, row in enumerate(rows) if number % 3)]))
    return path


@pytest.fixture
def ask(server):
    """POST to the API: ``ask("artifacts/filter", …)`` → JSON."""

    return lambda path, body: post(f"{server}/{path}", body)


@pytest.fixture
def artifacts(ask):
    """The artifacts of the latest run of a flow, by key; a result's without the place of its table."""

    def artifacts(flow):
        run_id = str(latest_flow_run(flow).id)
        found = ask("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})
        return {re.sub(r"(?<=-result)-.*-(page|refused|predictions)$", "", each["key"] or ""): each for each in found}

    return artifacts


@pytest.fixture
def asset_events(ask):
    """The asset events of the latest run of a flow; they arrive by a way of their own, a little later."""

    def asset_events(flow, event, resource):
        run_id = f"prefect.flow-run.{latest_flow_run(flow).id}"
        wanted = {"event": {"name": [event]}, "resource": {"id": [resource]}, "related": {"id": [run_id]}}
        for _ in range(300):
            if found := ask("events/filter", {"filter": wanted})["events"]:
                return found
            time.sleep(0.1)
        return pytest.fail(f"no {event} of {resource} has arrived")

    return asset_events


def test_every_flow_shows_its_result_its_progress_and_its_assets(
    recobatch, ratings_csv, few_csv, at_project, artifacts, asset_events
):
    first = recobatch("run", few_csv, *QUICK, "--table", "page").json
    assert first["change"] is None
    # So few ratings and epochs that the gates would see a drift.
    lifted = (
        "--set",
        "drift.prediction_shift=null",
        "--set",
        "drift.error_rise=null",
        "--set",
        "drift.rating_shift=null",
    )
    second = recobatch("run", ratings_csv, *QUICK, *lifted, "--table", "page").json
    shown = artifacts("batch-scoring")
    stages = (*(f"train-{name}" for name in MODELS), f"refit-{second['champion']}", "score")
    progress = {f"progress-{stage.replace('_', '-')}" for stage in stages}
    assert shown.keys() == {"batch-result"} | progress
    assert all(shown[key]["type"] == "progress" and shown[key]["data"] == 100 for key in progress)
    page = shown["batch-result"]["data"]
    for name, model in second["models"].items():
        measured = model | model["rankings"]
        keys = ("test_mse", "test_rmse", "test_mae", "ndcg_at_10", "recall_at_10")
        figures = " | ".join(f"{measured[key]:.4f}" for key in keys)
        intervals = f"{model['coverage_90']:.1%} | {model['interval_width']:.2f}"
        assert f"| {figures} | {intervals} | 3 | 2,400 |" in page
        change = model["test_mse"] - first["models"][name]["test_mse"]
        assert f"- {name}: test MSE {change:+.4f}" in page
        assert model["mlflow_run_id"] in page
    assert f"## The champion is {second['champion']}\n" in page
    assert f"| *baseline: bias* | {second['baselines']['bias']['test_mse']:.4f} |" in page
    assert f"### Since version {first['table']['version']}\n" in page
    more = second["data"]["ratings"] - first["data"]["ratings"]
    assert f"- ratings {more:+,}, users +0, items +0" in page
    assert second["table"]["version"] in page
    assert str(at_project / second["report"]) in page
    tracking = tracking_address(at_project)
    assert (tracking if tracking.startswith("http") else f"mlflow ui --backend-store-uri {tracking}") in page
    assert second["change"]["data"] == {"ratings": more, "users": 0, "items": 0}

    table, ratings = f"file://{at_project}/page", f"file://{ratings_csv}"
    [made] = asset_events("batch-scoring", "prefect.asset.materialization.succeeded", table)
    assert ratings in {related["prefect.resource.id"] for related in made["related"]}
    assert made["payload"]["version"] == second["table"]["version"]
    assert made["payload"]["rows"] == dict.fromkeys(MODELS, 2400)
    assert asset_events("batch-scoring", "prefect.asset.referenced", ratings)

    recobatch("run", ratings_csv, *QUICK, *lifted, "--table", "page")
    assert artifacts("batch-scoring")["batch-result"]["data"].startswith("## Nothing new since version ")

    trained = recobatch("train", ratings_csv, *QUICK, "--set", "train.epochs=1").json  # the better one here
    shown = artifacts("train-models")
    assert shown.keys() == {"training-result"} | progress - {"progress-score"}
    assert f"### Since batch {second['batch_id']}\n" in shown["training-result"]["data"]
    assert trained["change"]["data"] == {"ratings": 0, "users": 0, "items": 0}
    for name, model in trained["models"].items():
        change = model["test_mse"] - second["models"][name]["test_mse"]
        assert trained["change"]["models"][name]["test_mse"] == pytest.approx(change, abs=1e-5)
    [registered] = asset_events("train-models", "prefect.asset.materialization.succeeded", "mlflow://models/recobatch")
    assert ratings in {related["prefect.resource.id"] for related in registered["related"]}

    scored = recobatch("score", *lifted, "--table", "page", "--json").json
    shown = artifacts("score-pairs")
    assert shown.keys() == {"scoring-result", "progress-score"}
    assert f"### Since version {second['table']['version']}\n" in shown["scoring-result"]["data"]
    assert "\n\nCurrent ratings: 0 new ratings of 0 users since training.\n" in shown["scoring-result"]["data"]
    assert str(at_project / trained["report"]) in shown["scoring-result"]["data"]
    assert scored["change"]["data"] == {"ratings": 0, "users": 0, "items": 0}
    [made] = asset_events("score-pairs", "prefect.asset.materialization.succeeded", table)
    assert "mlflow://models/recobatch" in {related["prefect.resource.id"] for related in made["related"]}


def test_a_refusal_is_shown_on_the_page_too(recobatch, ratings_csv, artifacts, at_project):
    hopeless = ("--set", "models=explicit_mf", "--set", "train.epochs=1", "--set", "model.n_factors=4")
    for command, key in (("run", "batch-result"), ("train", "training-result")):
        table = ("--table", "refused") if command == "run" else ()
        refused = recobatch(command, ratings_csv, *table, *hopeless)
        assert refused.code == 3, refused.err
        page = artifacts("batch-scoring" if command == "run" else "train-models")[key]["data"]
        assert page.startswith(f"## Refused: nothing was published\n\n> {refused.refusal}\n")
        assert re.search(
            r"\| \*\*(explicit_mf|\[explicit_mf\]\(http\S+\))\*\* ★ \|", page
        )  # a link where a server has pages
        assert str(at_project / ".recobatch" / "reports") in page


def test_progress_is_posted_now_and_then_and_to_the_end(server, ask):
    from prefect import flow

    from flows.progress.artifact import ProgressPage

    @flow
    def busy():
        page = ProgressPage()
        for step in range(5001):
            page.show("score", step / 5000, f"{step} of 5000")
        page.close(60)

    busy(return_state=True)
    run_id = str(latest_flow_run("busy").id)
    [artifact] = ask("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run_id]}}})
    assert (artifact["data"], artifact["description"]) == (100, "score: 5000 of 5000")
    wanted = {
        "event": {"name": ["prefect.artifact.updated"]},
        "resource": {"id": [f"prefect.artifact.{artifact['id']}"]},
    }
    assert ask("events/filter", {"filter": wanted})["total"] < 50


def test_a_server_that_is_gone_is_no_trouble_for_progress():
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    from flows.progress.artifact import ProgressPage

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}):
        page = ProgressPage()
        page.show("train explicit_mf", 0.5)
        page.close(60)
        page.show("train explicit_mf", 1.0)
        assert not page._thread.is_alive()
