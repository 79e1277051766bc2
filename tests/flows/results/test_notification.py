"""Runs that failed or were refused are posted to a webhook, whose receiver cannot harm the run."""

import json
import os
from pathlib import Path

import pytest

from flows.settings.load import load_settings
from flows.settings.sources import WEBHOOK_VARIABLE
from flows.settings.tree import Settings
from recobatch.errors import BadSettings
from tests.support.flow_runs import latest_flow_run
from tests.support.webhook import SECRET, receiving

QUICK = ("--set", "train.epochs=1", "--set", "model.n_factors=4", "--set", "models=explicit_mf", "--json")


@pytest.fixture
def missing(recobatch):
    """A run that fails at once: its ratings are not there."""
    return lambda *more: recobatch("run", "absent.csv", "--table", "told", *more)


def test_a_failure_is_posted_with_its_reason(missing, monkeypatch):
    with receiving() as receiver:
        monkeypatch.setenv(WEBHOOK_VARIABLE, receiver.address)
        outcome = missing()
    assert outcome.code == 2
    [(path, kind, message)] = receiver.posted
    assert (path, kind) == (f"/{SECRET}", "application/json")
    run = latest_flow_run("batch-scoring")
    assert message["reason"] == outcome.refusal
    assert (message["kind"], message["flow"]) == ("bad input", "batch-scoring")
    assert (message["flow_run"], message["flow_run_id"]) == (run.name, str(run.id))
    assert message["text"] == f"recobatch batch-scoring bad input: {outcome.refusal}"


@pytest.mark.long
def test_a_refusal_is_posted_and_the_address_is_kept_nowhere(
    recobatch, ratings_csv, at_project, monkeypatch, caplog, flow_servers
):
    with receiving() as receiver:
        monkeypatch.setenv(WEBHOOK_VARIABLE, receiver.address)
        outcome = recobatch("run", ratings_csv, "--table", "told", *QUICK)
    assert outcome.code == 3
    [(_, _, message)] = receiver.posted
    assert (message["kind"], message["reason"]) == ("refused", outcome.refusal)
    assert SECRET not in outcome.out + outcome.err + caplog.text
    flow_servers.dump(at_project)
    kept = [path for root in (at_project, Path(os.environ["PREFECT_HOME"])) for path in root.rglob("*")]
    assert {"mlflow.db", "prefect.db"} <= {path.name for path in kept}
    for path in kept:
        assert not (path.is_file() and SECRET.encode() in path.read_bytes()), path


@pytest.mark.long
def test_the_address_may_be_a_secret_of_prefect(missing, server):
    from prefect.blocks.system import Secret

    with receiving() as receiver:
        Secret(value=receiver.address).save("recobatch-webhook", overwrite=True)
        assert missing("--set", "notify.block=recobatch-webhook").code == 2
    assert len(receiver.posted) == 1


def test_a_receiver_that_hangs_is_left_alone(missing, monkeypatch):
    with receiving(hangs=True) as receiver:
        monkeypatch.setenv(WEBHOOK_VARIABLE, receiver.address)
        assert missing("--set", "notify.timeout_seconds=0.2").code == 2
        # The job has ended, and the receiver has still not answered.
        assert not receiver.let_go.is_set()
        assert receiver.arrived.wait(60)


@pytest.mark.parametrize("status", [None, 500])
def test_a_receiver_that_is_away_or_unwell_changes_nothing(missing, monkeypatch, status, caplog):
    with receiving(status=status or 200) as receiver:
        address = receiver.address
        if status is not None:
            monkeypatch.setenv(WEBHOOK_VARIABLE, address)
            assert missing().code == 2
    if status is None:
        monkeypatch.setenv(WEBHOOK_VARIABLE, address)
        assert missing().code == 2
    warnings = [record.getMessage() for record in caplog.records if "webhook" in record.getMessage()]
    assert any("could not be posted to the webhook at 127.0.0.1 (" in line for line in warnings)
    assert SECRET not in caplog.text


def test_a_block_that_is_not_there_changes_nothing(missing, caplog):
    assert missing("--set", "notify.block=no-such-block").code == 2
    assert "the failure could not be posted to the webhook at the block no-such-block" in caplog.text


def test_settings_that_cannot_be_read_are_posted_too(server, at_project, monkeypatch):
    from flows.batch import batch_scoring

    with receiving() as receiver:
        monkeypatch.setenv(WEBHOOK_VARIABLE, receiver.address)
        monkeypatch.setenv("RECOBATCH_TRAIN__EPOCHS", "0")
        with pytest.raises(BadSettings):
            batch_scoring(settings=Settings())
    [(_, _, message)] = receiver.posted
    assert message["reason"].startswith("train.epochs: found '0'")


def test_a_run_that_died_with_its_machine_is_posted_once_by_the_next_one(server, monkeypatch):
    from prefect.client.orchestration import get_client
    from prefect.states import Crashed, Running

    from flows.batch import batch_scoring
    from flows.results.notification import post_lost_runs
    from flows.server.lost_runs import AUTOMATION

    [action] = json.loads(AUTOMATION.read_text())["actions"]
    deployment = batch_scoring.to_deployment(name="lost").apply()
    with get_client(sync_client=True) as client:
        runs = [client.create_flow_run_from_deployment(deployment) for _ in range(3)]
        lost, stopped, beginning = runs
        for run, message in ((lost, action["message"]), (stopped, "stopped by somebody")):
            client.set_flow_run_state(run.id, Running(), force=True)
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)
    with receiving() as receiver:
        monkeypatch.setenv(WEBHOOK_VARIABLE, receiver.address)
        for _ in range(2):
            post_lost_runs(batch_scoring, beginning, Running())
    [(_, _, message)] = receiver.posted
    assert (message["kind"], message["flow"], message["reason"]) == ("crashed", "batch-scoring", action["message"])
    assert message["flow_run_id"] == str(lost.id)
    assert post_lost_runs in batch_scoring.on_running_hooks


def test_the_address_is_no_setting():
    with pytest.raises(BadSettings, match=f"found the secret notify.webhook, .* set the variable {WEBHOOK_VARIABLE}"):
        load_settings(assignments=["notify.webhook=https://example.org/s3cret"])
    with pytest.raises(BadSettings, match=f"{WEBHOOK_VARIABLE}: found no http") as caught:
        load_settings(environment={WEBHOOK_VARIABLE: "example.org/s3cret"})
    assert "s3cret" not in str(caught.value)
    settings = load_settings(environment={WEBHOOK_VARIABLE: "https://example.org/s3cret"})
    assert "s3cret" not in settings.model_dump_json()
