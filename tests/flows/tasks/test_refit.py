"""A Keras champion is published with all ratings; a run that dies meanwhile is resumed."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.results.choice import choice_remarks
from flows.results.summary import BatchSummary
from recobatch.errors import TrainingDiverged
from recobatch.model_folder import ModelFolder
from recobatch.table import open_table
from tests.support.flow_servers import tracking_address
from tests.support.summary_keys import undocumented

pytestmark = pytest.mark.long

QUICK = ("--set", "train.epochs=3", "--set", "model.n_factors=4", "--set", "gate.baseline=none", "--json")


@pytest.fixture
def batch(recobatch, ratings_csv):
    return lambda table, *more: recobatch("run", ratings_csv, *QUICK, "--table", table, *more)


def predictions(root, model):
    return pq.read_table(root / "current" / "table" / f"model={model}", partitioning=None)["prediction"].to_numpy()


def known(root, model):
    (path, *_) = (root / "current" / "table" / f"model={model}").glob("*.parquet")
    return pq.read_schema(path).metadata[b"trained_on"]


@pytest.fixture
def whole(batch, finished):
    """The summary of a batch whose table ``whole`` no test changes."""
    if not finished:
        outcome = batch("whole")
        assert outcome.code == 0, outcome.err
        finished["whole"] = outcome.json
    return finished["whole"]


def test_the_champion_alone_is_given_all_ratings(whole, batch, at_project):
    measured = batch("measured", "--set", "champion.trained_on=train")
    assert measured.code == 0, measured.err
    measured = measured.json
    champion = whole["champion"]
    (other,) = set(whole["models"]) - {champion}
    assert (whole["models"][champion]["trained_on"], whole["models"][other]["trained_on"]) == (
        "all ratings", "train part",
    )  # fmt: skip
    assert {model["trained_on"] for model in measured["models"].values()} == {"train part"}
    for name in (champion, other):  # the errors are those of the measured model
        assert whole["models"][name]["test_mse"] == measured["models"][name]["test_mse"]
    assert f"refit {champion}" in whole["timings"]
    assert f"refit {champion}" not in measured["timings"]
    assert "know all ratings" in " ".join(choice_remarks(BatchSummary.from_dict(whole)))
    one, two = at_project / "whole", at_project / "measured"
    assert (known(one, champion), known(one, other), known(two, champion)) == (b"all", b"train", b"train")
    np.testing.assert_array_equal(predictions(one, other), predictions(two, other))
    assert np.abs(predictions(one, champion) - predictions(two, champion)).max() > 1e-3
    check_tracked(at_project, whole, predictions(one, champion))


def check_tracked(project, summary, published):
    """The registered model is the published one; its measured factors lie beside it."""
    import mlflow
    from mlflow import MlflowClient

    uri = tracking_address(project)
    client = MlflowClient(uri)
    run_id = summary["models"][summary["champion"]]["mlflow_run_id"]
    run = client.get_run(run_id)
    assert "refit_seconds" in run.data.metrics
    (version,) = (each for each in client.search_model_versions("") if each.run_id == run_id)
    assert version.tags["trained_on"] == "all"
    folder = mlflow.artifacts.download_artifacts(f"models:/recobatch/{version.version}", tracking_uri=uri)
    served, scored = ModelFolder(project / folder / "served"), published.reshape(60, 40)
    user = served.load().users.ids.index("u07").as_py()
    loaded = mlflow.keras.load_model(folder)
    kept = loaded.predict([np.full(40, user), np.arange(40)], verbose=0).ravel()
    np.testing.assert_allclose(kept, scored[user], atol=1e-5)


def test_a_run_that_dies_in_the_refit_is_resumed(whole, batch, copied, at_project, monkeypatch):
    from flows.tasks import refit as stage

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stage, "refit", killed)
        assert batch("died", "--set", "seed=6").code != 0
    assert not (at_project / "died" / "current").exists()
    outcome = batch("died", "--set", "seed=6")
    assert outcome.code == 0, outcome.err
    summary = outcome.json
    assert {f"train {name}" for name in summary["models"]} <= set(summary["reused"])
    assert f"refit {summary['champion']}" not in summary["reused"]
    assert open_table(at_project / "died").verify().ok
    copied("whole", "forced")
    assert f"refit {whole['champion']}" in batch("forced", "--force").json["reused"]


def test_a_champion_whose_refit_diverges_is_published_as_it_was_measured(batch, at_project, monkeypatch, caplog):
    from flows.tasks import refit as stage

    def diverging(*_):
        raise TrainingDiverged("training ExplicitMF: found a loss of nan in epoch 2, expected a finite number")

    monkeypatch.setattr(stage, "refit", diverging)
    outcome = batch("fallen-back", "--set", "seed=7")
    assert outcome.code == 0, outcome.err
    summary, root = outcome.json, at_project / "fallen-back"
    champion = summary["models"][summary["champion"]]
    assert champion["trained_on"] == "train part"
    assert champion["refit_failed"].startswith("training ExplicitMF: found a loss of nan")
    assert undocumented(summary) == []
    said = f"{summary['champion']} is published as it was measured, without the ratings that were held out: training"
    assert said in caplog.text
    assert said in " ".join(choice_remarks(BatchSummary.from_dict(summary)))
    assert known(root, summary["champion"]) == b"train"
    assert open_table(root).verify().ok
    assert batch("as-measured", "--set", "seed=7", "--set", "champion.trained_on=train").code == 0
    np.testing.assert_array_equal(
        predictions(root, summary["champion"]), predictions(at_project / "as-measured", summary["champion"])
    )
    assert batch("fallen-back", "--set", "seed=7").json["unchanged"] is True
