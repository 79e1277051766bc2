"""The model registry after a training: what its versions say of themselves, and what the gate lets the aliases do."""

import json

import pytest

QUICK = ("--set", "model.n_factors=4", "--set", "gate.baseline=none", "--json")


@pytest.fixture
def client(at_project):
    from mlflow import MlflowClient

    uri = f"sqlite:///{at_project / 'mlflow.db'}"
    return MlflowClient(uri, uri)


def aliases(client):
    return {alias: client.get_model_version_by_alias("recobatch", alias) for alias in ("champion", "challenger")}


def test_versions_tell_what_they_are_and_only_the_gate_moves_the_aliases(recobatch, ratings_csv, client):
    summary = recobatch("train", ratings_csv, *QUICK, "--set", "train.epochs=2").json
    first = aliases(client)
    champion = summary["champion"]
    (challenger,) = set(summary["models"]) - {champion}
    for alias, name in (("champion", champion), ("challenger", challenger)):
        version, model = first[alias], summary["models"][name]
        assert version.run_id == model["mlflow_run_id"]
        assert version.description == f"{name}, test MSE {model['test_mse']:.4f}, on ratings.csv"
        tags = dict(version.tags)
        assert (tags["model"], tags["batch_id"], tags["dataset"]) == (name, summary["batch_id"], "ratings.csv")
        assert tags["dataset_fingerprint"] == summary["data"]["fingerprint"]
        assert [float(tags[key]) for key in ("test_mse", "test_rmse", "test_mae")] == [
            pytest.approx(model[key], abs=1e-6) for key in ("test_mse", "test_rmse", "test_mae")
        ]
        assert (tags["ratings"], tags["newest_rating"]) == (str(ratings_csv), "1198")
        assert set(json.loads(tags["sha256"])) >= {"factors.npz", "users.parquet", "items.parquet", "rated.npz"}

    refused = recobatch("train", ratings_csv, *QUICK[:2], "--set", "train.epochs=1", "--set", "models=explicit_mf")
    assert refused.code == 3, refused.err
    assert {alias: version.version for alias, version in aliases(client).items()} == {
        alias: version.version for alias, version in first.items()
    }

    again = recobatch("train", ratings_csv, *QUICK, "--set", "train.epochs=3").json
    for alias, version in aliases(client).items():
        assert int(version.version) > int(first[alias].version)
        assert version.tags["batch_id"] == again["batch_id"]
