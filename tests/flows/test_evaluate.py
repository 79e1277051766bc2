"""``recobatch evaluate`` as a whole: figures, MLflow, nothing published, and finished folds that are reused."""

import json
import os
import signal

import pytest

from recobatch.errors import RecobatchError
from recobatch.training import fold_fit
from tests.support.flow_servers import tracking_address
from tests.support.fork_server import ForkedRun

SMALL = (
    "--set", "models=explicit_mf_bias,bayesian_mf", "--set", "model.sweeps=20", "--set", "train.epochs=2", "--set",
    "interest.ease_rank=20",
)  # fmt: skip


def check_tracked(project, evaluation_id):
    """Each model's run has the folds' figures as its steps; nothing is registered, and nothing passes for a batch."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_address(project))
    assert client.search_model_versions() == []
    runs = client.search_runs([client.get_experiment_by_name("recobatch").experiment_id])
    assert not any("batch_id" in run.data.tags for run in runs)
    ours = [run.info.run_id for run in runs if run.data.tags.get("evaluation_id") == evaluation_id]
    steps = [[metric.step for metric in client.get_metric_history(run, "test_mse")] for run in ours]
    assert steps
    assert all(each in ([], [1, 2]) for each in steps)
    assert [1, 2] in steps


@pytest.fixture
def outcome(recobatch, ratings_csv):
    def run(*arguments):
        outcome = recobatch("evaluate", ratings_csv, *SMALL, *arguments)
        assert outcome.code == 0, outcome.err
        return outcome

    return run


def test_an_evaluation_ends_with_figures_and_publishes_nothing(outcome, project):
    found = outcome("--folds", 2, "--json").json
    assert found["method"] == "folds"
    assert [fold["name"] for fold in found["folds"]] == ["fold-1", "fold-2"]
    assert sum(fold["test"] for fold in found["folds"]) == found["data"]["ratings"]
    assert list(found["models"]) == ["explicit_mf_bias", "bayesian_mf"]
    assert list(found["baselines"]) == ["global_mean", "bias", "popularity"]
    figures = found["models"]["bayesian_mf"]
    for metric in ("test_mse", "test_rmse", "test_mae", "warm_mse", "ndcg_at_10", "recall_at_10", "coverage_90"):
        assert len(figures[metric]["folds"]) == 2
        assert figures[metric]["mean"] == pytest.approx(sum(figures[metric]["folds"]) / 2)
    assert figures["test_mse"]["mean"] < found["baselines"]["bias"]["test_mse"]["mean"]
    tests = {test["metric"]: test for test in found["paired"]}
    assert set(tests) == {"test_mse", "ndcg_at_10"}
    assert 0 <= tests["test_mse"]["p_value"] <= 1
    page = (project / found["page"]).read_text(encoding="utf-8")
    assert "has the lowest test error over 2 folds" in page
    assert page.count("<svg") >= 4
    assert not (project / "predictions").exists()
    check_tracked(project, found["evaluation_id"])


@pytest.mark.long
def test_finished_folds_are_reused_after_a_failure(outcome, recobatch, ratings_csv, monkeypatch):
    trained, fit = [], fold_fit.fit_fold

    def failing(name, inputs, **options):
        trained.append(name)
        if len(trained) == 4:
            raise RecobatchError("the machine went down")
        return fit(name, inputs, **options)

    monkeypatch.setattr("flows.tasks.folds.fit_fold", failing)
    first = recobatch("evaluate", ratings_csv, *SMALL, "--repeats", 2, "--set", "seed=3")
    assert first.code == 1
    found = outcome("--repeats", 2, "--set", "seed=3", "--json").json
    assert trained[4:] == ["bayesian_mf"]
    assert "repeat-1: bayesian_mf" in found["reused"]
    assert "repeat-2: explicit_mf_bias" in found["reused"]
    again = outcome("--repeats", 2, "--set", "seed=3").out
    assert len(trained) == 5
    assert "2 repeats: mean ± standard deviation" in again
    assert "nothing was registered or published" in again


@pytest.mark.long
@pytest.mark.process
def test_finished_folds_are_reused_after_a_kill(ratings_csv, project, server):
    def begin():
        arguments = ["evaluate", str(ratings_csv), *SMALL, "--repeats", "2", "--set", "seed=4", "--json"]
        return ForkedRun(arguments, cwd=project, env={**os.environ, "PREFECT_API_URL": server})

    run = begin()
    log = []
    for line in run.stderr:
        log.append(line)
        if " - repeat-1: bayesian_mf" in line:
            break
    run.kill()
    assert run.wait(60) == -signal.SIGKILL, log
    again = begin()
    out, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    found = json.loads(out.splitlines()[-1])
    assert [fold["name"] for fold in found["folds"]] == ["repeat-1", "repeat-2"]
    assert {"repeat-1: explicit_mf_bias", "repeat-1: bayesian_mf"} <= set(found["reused"])


def test_windows_are_of_time(outcome):
    found = outcome("--windows", 2, "--set", "models=bayesian_mf", "--json").json
    assert found["method"] == "windows"
    first, second = found["folds"]
    assert first["until"] < second["since"]
    assert second["train"] == first["train"] + first["test"]
    assert found["paired"] == []
    json.dumps(found, allow_nan=False)
