"""Nights after a batch that published: every model of the table, over the ratings of now."""

import json
import re
import shutil
from io import StringIO

import duckdb
import pytest

from flows.results.closing import print_closing
from flows.results.summary import BatchSummary
from recobatch.table import open_table
from tests.support.flow_runs import MODELS, QUICK
from tests.support.flow_servers import artifact_folder, tracking_address
from tests.support.summary_keys import undocumented

pytestmark = pytest.mark.long

HEADER = "userId,movieId,rating,timestamp"
STEADY = ("--set", "drift.prediction_shift=null")


@pytest.fixture(scope="module")
def rows(low_rank):
    """The low-rank truth as lines of csv."""
    columns = zip(low_rank.user_index, low_rank.item_index, low_rank.rating, low_rank.timestamp, strict=True)
    return [f"u{user:02d},{item + 100},{rating:.4f},{10**9 + time}" for user, item, rating, time in columns]


@pytest.fixture
def write(at_project):
    ratings = at_project / "of-now.csv"

    def write(lines):
        ratings.write_text("\n".join([HEADER, *lines]) + "\n")
        return ratings

    return write


@pytest.fixture
def publish(recobatch, write, rows):
    """Publish a table with two models by ``recobatch run``; its summary."""

    def publish(*arguments):
        outcome = recobatch("run", write(rows), *QUICK, *arguments)
        assert outcome.code == 0, outcome.err
        assert [*outcome.json["table"]["rows"]] == MODELS
        return outcome.json

    return publish


@pytest.fixture
def published(publish, write, rows, finished, copied, request):
    """A copy for this test of one table; the arguments of a night, and its summary."""
    table = request.node.name[:40]
    if not finished:
        finished["summary"] = publish("--table", "before")
    copied("before", table)
    write(rows)
    summary = finished["summary"]
    return ("--table", table, *STEADY, "--json"), summary | {"table": summary["table"] | {"path": table}}


@pytest.fixture
def alone(publish, request):
    """A table of this test whose models it may change, as they have a registry of their own; likewise, and its name."""
    name = re.sub(r"\W+", "-", request.node.name)[-40:]
    places = ("--table", name, "--set", f"tracking.registered_model={name}")
    return (*places, *STEADY, "--json"), publish(*places), name


def select(project, summary, query, model=None):
    files = (
        project / summary["table"]["path"] / "current" / "table" / f"model={model or summary['champion']}" / "*.parquet"
    )
    return duckdb.sql(query.format(table=f"'{files}'")).fetchall()


def test_a_night_after_a_batch_and_without_news_publishes_nothing(published, recobatch):
    night, before = published
    found = recobatch("score", *night).json
    assert found["unchanged"]
    assert found["table"]["version"] == before["table"]["version"]
    assert found["table"]["rows"] == before["table"]["rows"]
    assert recobatch("score", *night, "--force").json["table"]["version"] != before["table"]["version"]
    assert recobatch("score", *night).json["unchanged"], "nor does a night after a night"


def test_a_night_publishes_every_model_of_the_table(published, recobatch, at_project, write, rows):
    night, before = published
    predictions = {
        name: select(at_project, before, "SELECT * EXCLUDE (rated) FROM {table} ORDER BY ALL", name) for name in MODELS
    }
    unrated = next(f"u00,{item}" for item in range(100, 140) if not any(row.startswith(f"u00,{item},") for row in rows))
    write([*rows, f"{unrated},4.5,2000000000"])
    outcome = recobatch("score", *night)
    assert outcome.code == 0, outcome.err
    found = outcome.json
    assert undocumented(found) == []
    assert found["table"]["rows"] == before["table"]["rows"]
    assert found["champion"] == before["champion"]
    assert "left_out" not in found
    for name in MODELS:
        assert found["models"][name]["mlflow_run_id"] == before["models"][name]["mlflow_run_id"]
        assert found["models"][name]["test_mse"] == pytest.approx(before["models"][name]["test_mse"], abs=1e-5)
        assert (
            select(at_project, found, "SELECT * EXCLUDE (rated) FROM {table} ORDER BY ALL", name) == predictions[name]
        )
        assert select(at_project, found, "SELECT sum(rated::int) FROM {table}", name) == [(len(rows) + 1,)]
    assert recobatch("verify", *night[:2]).code == 0
    added = recobatch("score", *night, "--set", "score.unknown=biases", "--force").json
    assert added["table"]["rows"] == before["table"]["rows"], "no id is unknown"


def test_all_models_have_the_same_users_and_items(published, recobatch, write, rows):
    night, _ = published
    write([*(row for row in rows if not row.startswith("u05,")), "zoe,101,3,2000000000", "u00,149,5,2000000002"])
    assert recobatch("score", *night).json["table"]["rows"] == dict.fromkeys(MODELS, 59 * 40)
    added = recobatch("score", *night, "--set", "score.unknown=biases").json
    assert added["table"]["rows"] == dict.fromkeys(MODELS, 60 * 41)
    assert recobatch("verify", *night[:2]).code == 0


def test_the_champion_alone_if_that_is_wanted(published, recobatch):
    night, before = published
    outcome = recobatch("score", *night, "--set", "score.models=champion")
    other = next(name for name in MODELS if name != before["champion"])
    assert [*outcome.json["table"]["rows"]] == [before["champion"]]
    assert outcome.json["left_out"] == {other: "score.models=champion"}
    print_closing(BatchSummary.from_dict(outcome.json), shown := StringIO())
    assert f"The table has no predictions of {other} any more: score.models=champion." in shown.getvalue()


@pytest.mark.parametrize("fate", ["version removed", "artifacts removed", "artifact changed"])
def test_a_model_that_the_registry_has_no_more_is_named(alone, recobatch, at_project, write, rows, fate):
    from mlflow import MlflowClient

    night, before, registry = alone
    other = next(name for name in MODELS if name != before["champion"])
    client = MlflowClient(tracking_address(at_project))
    (version,) = client.search_model_versions(f"run_id = '{before['models'][other]['mlflow_run_id']}'")
    served = artifact_folder(at_project, client.get_model_version_download_uri(registry, version.version)) / "served"
    if fate == "version removed":
        client.delete_registered_model_alias(registry, "challenger")
        client.delete_model_version(registry, version.version)
    elif fate == "artifacts removed":
        shutil.rmtree(served)
    else:
        (served / "factors.npz").write_bytes((served / "rated.npz").read_bytes())
    write(rows[:-1])
    outcome = recobatch("score", *night)
    assert outcome.code == 0, outcome.err
    found = outcome.json
    assert [*found["table"]["rows"]] == [before["champion"]]
    reason = {
        "version removed": "the registry has no version of it from the champion's batch",
        "artifacts removed": "found no such artifact",
        "artifact changed": "found sha256",
    }[fate]
    assert reason in found["left_out"][other]
    manifest = json.loads((at_project / night[1] / "current" / "manifest.json").read_text())
    assert reason in manifest["extra"]["summary"]["left_out"][other]


def test_what_was_deleted_is_gone_and_reported(published, recobatch, at_project, write, rows):
    night, _ = published
    deleted = [rows[0], *(row for row in rows if row.startswith("u05,"))]
    write([row for row in rows if row not in deleted])
    outcome = recobatch("score", *night)
    assert outcome.code == 0, outcome.err
    found, news = outcome.json, outcome.json["data"]["news"]
    assert (news["complete"], news["deleted_ratings"], news["new_ratings"]) == (True, len(deleted), 0)
    assert (news["gone_users"], news["gone_items"]["count"]) == ({"count": 1, "first": ["u05"]}, 0)
    assert (found["data"]["users"], found["data"]["ratings"]) == (59, len(rows) - len(deleted))
    assert found["change"]["data"] == {"ratings": -len(deleted), "users": -1, "items": 0}
    for name in MODELS:
        assert select(at_project, found, "SELECT sum(rated::int) FROM {table}", name) == [(len(rows) - len(deleted),)]
        assert select(at_project, found, "SELECT count(*) FROM {table} WHERE user_id = 'u05'", name) == [(0,)]
    assert f"{len(deleted)} ratings deleted; 1 user without ratings (u05) removed from the table" in news["told"]
    user, item = rows[0].split(",")[:2]
    query = f"SELECT rated FROM {{table}} WHERE user_id = '{user}' AND item_id = {item}"
    assert select(at_project, found, query) == [(False,)]
    assert recobatch("verify", *night[:2]).code == 0


def test_a_batch_that_was_rolled_back_is_not_published_by_the_night(alone, recobatch, at_project, write, rows):
    night, before, _ = alone
    later = recobatch("run", write(rows[:-1]), *night[:4], *QUICK).json
    open_table(at_project / night[1]).rollback()
    found = recobatch("score", *night).json
    assert found["rolled_back"] == later["table"]["version"]
    assert found["table"]["version"] == before["table"]["version"]
