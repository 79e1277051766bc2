"""``recobatch tune``: better settings by trials on training ratings, which ``recobatch run`` reads."""

import csv
import tomllib
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows.settings.load import load_settings
from tests.support.flow_runs import latest_flow_run, task_runs
from tests.support.flow_servers import tracking_address

pytestmark = pytest.mark.slow

FAST = (
    "--model", "explicit_mf_bias", "--preset", "notebook", "--set=train.epochs=1", "--set=model.initial_scale=1",
    "--budget", "3 trials",
)  # fmt: skip
"""Settings in force that every trial is better than, whatever is proposed."""


@pytest.fixture
def tune(recobatch, ratings_csv, monkeypatch):
    monkeypatch.delenv("RECOBATCH_CHAMPION__VALIDATION_FRACTION")
    return lambda *more: recobatch("tune", ratings_csv, *FAST, *more)


@pytest.fixture
def applied(project):
    """The project's file of settings, which other tests must not find."""
    path = project / "recobatch.toml"
    path.write_text("# ours\n[split]\nseed = 4\n")
    yield path
    path.unlink()


@pytest.mark.long
def test_a_search_ends_with_settings_that_a_run_reads(tune, recobatch, ratings_csv, at_project, applied):
    outcome = tune("--json", "--apply")
    assert outcome.code == 0, outcome.err
    tasks = {task.name.rpartition("-")[0] for task in task_runs(latest_flow_run("tune-models"))}
    assert tasks == {"ingest ratings", "read side tables", "split ratings", "tune explicit_mf_bias"}
    found = outcome.json["models"]["explicit_mf_bias"]
    assert found["trials"] == {"finished": 3, "pruned": 0, "failed": 0}
    assert found["validation_mse"] < found["baseline_validation_mse"]
    assert outcome.json["applied"] == str(applied)
    text = applied.read_text()
    assert text.startswith("# ours\n[split]\nseed = 4\n")
    assert tomllib.loads(Path(found["toml"]).read_text()).items() <= tomllib.loads(text).items()
    settings = load_settings({}, environment={}, toml=applied)
    assert settings.train.learning_rate == found["settings"]["train.learning_rate"]
    assert settings.train.epochs == found["best"]["best_epoch"]
    trained = recobatch("train", ratings_csv, "--json", "--set=models=explicit_mf_bias", "--set=gate.baseline=none")
    assert len(trained.json["models"]["explicit_mf_bias"]["val_loss"]) == found["best"]["best_epoch"]


def test_trials_are_runs_below_one_run_and_a_second_call_continues(tune, at_project):
    first = tune("--study", "again", "--json").json["models"]["explicit_mf_bias"]
    second = tune("--study", "again", "--json", "--budget", "4 trials").json["models"]["explicit_mf_bias"]
    assert second["mlflow_run_id"] == first["mlflow_run_id"]
    assert second["trials"]["finished"] == 4
    client = MlflowClient(tracking_address(at_project))
    experiment = client.get_experiment_by_name("recobatch").experiment_id
    below = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{first['mlflow_run_id']}'")
    assert len(below) == 4
    assert all({"val_loss", "validation_mse"} <= run.data.metrics.keys() for run in below)
    assert all("train.learning_rate" in run.data.params for run in below)
    files = {file.path for file in client.list_artifacts(first["mlflow_run_id"])}
    assert {"trials.csv", "search.svg", "recobatch.toml"} <= files
    with (Path(second["folder"]) / "trials.csv").open() as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["in force", "0", "1", "2", "3"]


@pytest.mark.long
def test_models_of_both_kinds_are_tuned_together(recobatch, ratings_csv, at_project, applied, monkeypatch):
    """Each has its own settings, below one run, and a batch of both reads them."""
    both = ("--model", "bayesian_mf", *FAST, "--set=model.bayesian_factors=1", "--set=model.n_factors=3")
    outcome = recobatch("tune", ratings_csv, *both, "--json")
    assert outcome.code == 0, outcome.err
    models = outcome.json["models"]
    assert set(models["bayesian_mf"]["best"]["values"]) <= {"model.bayesian_factors"}
    assert "model.bayesian_factors" not in models["explicit_mf_bias"]["settings"]
    assert models["bayesian_mf"]["mlflow_run_id"] == models["explicit_mf_bias"]["mlflow_run_id"]
    wanted = {**models["bayesian_mf"]["settings"], **models["explicit_mf_bias"]["settings"]}
    assert outcome.json["settings"] == wanted
    settings = load_settings({}, environment={}, toml=Path(outcome.json["toml"]))
    assert settings.model.n_factors == wanted["model.n_factors"]
    assert settings.model.bayesian_factors == wanted.get("model.bayesian_factors")
    client = MlflowClient(tracking_address(at_project))
    parent = client.get_run(models["bayesian_mf"]["mlflow_run_id"])
    below = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert {run.data.tags["model"] for run in below} == set(models)
    assert {"bayesian_mf/validation_mse", "explicit_mf_bias/validation_mse"} <= parent.data.metrics.keys()
    again = recobatch("tune", ratings_csv, *both, "--json").json["models"]
    assert again["bayesian_mf"]["mlflow_run_id"] == parent.info.run_id
    assert again["bayesian_mf"]["trials"] == models["bayesian_mf"]["trials"]
    shown = recobatch("tune", ratings_csv, *both, "--apply").out
    assert f"Settings of all models, for one batch: {outcome.json['toml']}" in shown
    assert shown.count("trials of this study") == 2
    assert load_settings({}, environment={}, toml=applied).train == settings.train
    trained = recobatch("train", ratings_csv, "--json", "--set=models=explicit_mf_bias,bayesian_mf",
                        "--set=gate.baseline=none", "--set=model.sweeps=20")  # fmt: skip
    assert trained.code == 0, trained.err


def test_the_table_shows_the_best_trials_beside_the_settings_in_force(tune):
    outcome = tune("--study", "shown")
    assert outcome.code == 0, outcome.err
    for words in ("study shown", "in force", "learning_rate", "3 finished, 0 pruned, 0 failed trials", "--apply"):
        assert words in outcome.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--budget", "soon"), "--budget: found 'soon', expected a duration"),
        (("--model", "svd"), "model: found 'svd', expected one of"),
        (("--model", "explicit_mf", "--model", "explicit_mf_bias", "--study", "one"), "for 2 models"),
        (("--model", "explicit_mf", "--study", "../up"), "--study: found '../up', expected letters"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_any_work(recobatch, ratings_csv, arguments, words):
    outcome = recobatch("tune", ratings_csv, *arguments)
    assert outcome.code == 2
    assert words in outcome.refusal
