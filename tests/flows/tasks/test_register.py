"""The model registry after a training: what its versions say of themselves, and what the gate lets the aliases do."""

import json

import pytest

from recobatch.errors import TableBusy
from recobatch.tracking import Tracker
from tests.support.flow_servers import tracking_address

pytestmark = pytest.mark.long

QUICK = ("--set", "model.n_factors=4", "--set", "gate.baseline=none", "--json")


@pytest.fixture
def client(at_project):
    from mlflow import MlflowClient

    return MlflowClient(tracking_address(at_project))


def aliases(client, name="recobatch"):
    return {alias: client.get_model_version_by_alias(name, alias) for alias in ("champion", "challenger")}


def test_versions_tell_what_they_are_and_only_the_gate_moves_the_aliases(recobatch, ratings_csv, client):
    own = ("--set", "tracking.registered_model=versions")  # where nothing is registered yet
    summary = recobatch("train", ratings_csv, *QUICK, *own, "--set", "train.epochs=2").json
    first = aliases(client, "versions")
    champion = summary["champion"]
    (challenger,) = set(summary["models"]) - {champion}
    for alias, name in (("champion", champion), ("challenger", challenger)):
        version, model = first[alias], summary["models"][name]
        assert version.run_id == model["mlflow_run_id"]
        for words in (
            f"`{name}`, {'the champion' if name == champion else 'a model'} of batch `{summary['batch_id']}`.",
            f"| Data set | ratings.csv: {summary['data']['ratings']:,} ratings, ",
            f"| Test error | MSE {model['test_mse']:.4f}, RMSE {model['test_rmse']:.4f}, ",
            f"| Lists | NDCG@10 {model['rankings']['ndcg_at_10']:.4f}, recall@10 ",
            f"| 90 % intervals | hold {model['coverage_90']:.1%} of the test ratings",
        ):
            assert words in version.description
        assert "| Table |" not in version.description
        tags = dict(version.tags)
        assert (tags["model"], tags["batch_id"], tags["dataset"]) == (name, summary["batch_id"], "ratings.csv")
        assert tags["dataset_fingerprint"] == summary["data"]["fingerprint"]
        assert [float(tags[key]) for key in ("test_mse", "test_rmse", "test_mae")] == [
            pytest.approx(model[key], abs=1e-6) for key in ("test_mse", "test_rmse", "test_mae")
        ]
        assert (tags["ratings"], tags["newest_rating"]) == (str(ratings_csv), "1198")
        assert set(json.loads(tags["sha256"])) >= {"factors.npz", "users.parquet", "items.parquet", "rated.npz"}

    refused = recobatch(
        "train", ratings_csv, *QUICK[:2], *own, "--set", "train.epochs=1", "--set", "models=explicit_mf"
    )
    assert refused.code == 3, refused.err
    assert {alias: version.version for alias, version in aliases(client, "versions").items()} == {
        alias: version.version for alias, version in first.items()
    }

    again = recobatch(
        "train", ratings_csv, *QUICK, *own, "--set", "train.epochs=1"
    ).json  # the better one, on these ratings
    assert again["promotion"]["promoted"], again["promotion"]
    for alias, version in aliases(client, "versions").items():
        assert int(version.version) > int(first[alias].version)
        assert version.tags["batch_id"] == again["batch_id"]


@pytest.fixture
def batch(recobatch, ratings_csv):
    """A batch that differs from others by its seed: it trains, registers and publishes."""

    def batch(seed, table, *more):
        chosen = ("--table", table, "--set", "train.epochs=1", "--set", f"seed={seed}")
        return recobatch("run", ratings_csv, *QUICK, *chosen, "--set=drift.prediction_shift=null", *more)

    return batch


def test_the_alias_moves_after_the_publish(batch, client, monkeypatch):
    """What was never published is no champion, be it refused, or another run's publish came first, or the disk full."""
    stands = batch(1, "first").json

    def champions():
        return {alias: version.tags["batch_id"] for alias, version in aliases(client).items()}

    before = champions()
    assert before["champion"] == stands["batch_id"]
    for version in aliases(client).values():
        assert f"| Table | `first`, version `{stands['batch_id']}` |" in version.description
    assert batch(2, "first", "--set=drift.prediction_shift=0").code == 3
    assert champions() == before

    def lost(*_arguments, **_options):
        raise TableBusy("found the table published by another run, expected none")

    with monkeypatch.context() as race:
        race.setattr("recobatch.table.staging.Staging.publish", lost)
        assert batch(3, "first").code == 4
    assert champions() == before

    resumed = batch(3, "first").json
    assert champions() == dict.fromkeys(before, resumed["batch_id"])


@pytest.fixture
def published(batch, finished):
    """A table of this name, whose batch no test repeats."""
    if not finished:
        outcome = batch(4, "published")
        assert outcome.code == 0, outcome.err
        finished["published"] = outcome.json


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("command", ["run", "run --force", "score"])
def test_the_next_run_moves_an_alias_that_stayed_behind(batch, copied, recobatch, client, monkeypatch, caplog, command):
    copied("published", table := f"behind-{len(command)}")
    before = {alias: version.version for alias, version in aliases(client).items()}

    def refused(*_arguments):
        raise OSError("the disk is gone")

    with monkeypatch.context() as disk:
        disk.setattr(Tracker, "set_alias", refused)
        outcome = batch(5, table)
    assert outcome.code == 0, outcome.err
    version = outcome.json["table"]["version"]
    assert f"version {version} is published, but the registry's aliases were not moved" in caplog.text
    assert {alias: version.version for alias, version in aliases(client).items()} == before

    if command == "score":
        again = recobatch("score", "--table", table, "--json")
        assert again.json["champion"] == outcome.json["champion"]
        assert again.json["table"]["version"] == version, "nothing is new"
        assert again.json["models"].keys() == outcome.json["models"].keys()
        for name, model in again.json["models"].items():
            assert model["mlflow_run_id"] == outcome.json["models"][name]["mlflow_run_id"]
    else:
        again = batch(5, table, *command.split()[1:])
        assert again.json.get("unchanged", False) is (command == "run")
    assert again.code == 0, again.err
    assert f"batch {version} had published without moving the registry's aliases: champion is version" in caplog.text
    expected = again.json["batch_id"] if "force" in command else version
    assert {each.tags["batch_id"] for each in aliases(client).values()} == {expected}


def test_a_repair_leaves_an_alias_that_a_person_or_a_newer_training_moved(batch, recobatch, ratings_csv, client):
    first, second = batch(6, "chosen").json, batch(7, "chosen").json
    models = {
        each.tags["model"]: each for each in client.search_model_versions(f"tags.batch_id = '{first['batch_id']}'")
    }
    older = models["explicit_mf"].version  # any training beats it
    client.set_registered_model_alias("recobatch", "champion", older)
    assert batch(7, "chosen").json["unchanged"]
    assert client.get_model_version_by_alias("recobatch", "champion").version == older
    trained = recobatch("train", ratings_csv, *QUICK, "--set", "train.epochs=1", "--set", "seed=8").json
    assert batch(7, "chosen").json["table"]["version"] == second["table"]["version"]
    assert client.get_model_version_by_alias("recobatch", "champion").tags["batch_id"] == trained["batch_id"]
