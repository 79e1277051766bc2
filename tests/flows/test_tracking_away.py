"""The whole job while MLflow is away: it publishes all the same, and the next run delivers what was noted."""

import shutil

import pytest

from tests.support.mlflow_server import free_port, serving

QUICK = (
    "--set", "train.epochs=2", "--set", "model.n_factors=4", "--set", "gate.baseline=none", "--table", "away", "--json",
)  # fmt: skip


@pytest.mark.long
def test_a_batch_publishes_without_mlflow_and_the_next_one_delivers_it(recobatch, ratings_csv, at_project, tmp_path):
    from mlflow import MlflowClient

    from recobatch.tracking.database import prepare_database

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    run = ("run", ratings_csv, *QUICK, "--set", f"tracking.uri={address}")
    lonely = recobatch(*run)
    assert lonely.code == 0, lonely.err
    assert all(model["mlflow_run_id"].startswith("spooled-") for model in lonely.json["models"].values())
    assert (at_project / "away" / "current" / "champion").is_dir()
    assert len(list((at_project / ".recobatch" / "spool").iterdir())) == 3  # two models, and interest

    local = at_project / "mlflow.db"
    if local.exists():
        shutil.copyfile(local, tmp_path / "mlflow.db")
    else:
        prepare_database(f"sqlite:///{tmp_path}/mlflow.db")
    command = [
        "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", "./artifacts",
    ]  # fmt: skip
    with serving(command, address, tmp_path):
        accompanied = recobatch(*run, "--force")
        assert accompanied.code == 0, accompanied.err
        client = MlflowClient(address, address)
        experiment = client.get_experiment_by_name("recobatch").experiment_id
        for summary in (lonely.json, accompanied.json):
            found = client.search_runs([experiment], f"tags.batch_id = '{summary['batch_id']}'")
            assert [one.info.status for one in found] == ["FINISHED"] * 3
            for one in found:
                if one.data.tags["model"] == "interest":
                    continue
                curve = [metric.value for metric in client.get_metric_history(one.info.run_id, "val_loss")]
                assert curve == pytest.approx(summary["models"][one.data.tags["model"]]["val_loss"])
        champion = client.get_model_version_by_alias("recobatch", "champion")
        assert champion.tags["batch_id"] == accompanied.json["batch_id"]
    assert list((at_project / ".recobatch" / "spool").iterdir()) == []
