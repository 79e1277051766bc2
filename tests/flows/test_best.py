"""The default preset: three models, a champion chosen on training ratings, a table that knows all ratings."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.results.choice import choice_remarks
from flows.results.summary import BatchSummary
from recobatch.bayesian import BayesianState
from recobatch.table import open_table
from tests.support.flow_servers import tracking_address
from tests.support.summary_keys import undocumented

pytestmark = pytest.mark.long

SMALL = (
    "--set", "train.epochs=3", "--set", "model.n_factors=2", "--set", "model.bayesian_factors=2",
    "--set", "model.sweeps=20", "--set", "gate.baseline=none",
    "--set", "gate.ranking=warn", "--json",
)  # fmt: skip
MODELS = {"explicit_mf", "explicit_mf_bias", "bayesian_mf"}


@pytest.fixture
def best(recobatch, monkeypatch):
    """Run the job with the models and the choice of the preset."""
    monkeypatch.delenv("RECOBATCH_MODELS")
    monkeypatch.delenv("RECOBATCH_CHAMPION__VALIDATION_FRACTION")
    return lambda command, ratings, *more: recobatch(command, ratings, *SMALL, *more)


@pytest.fixture(scope="module")
def with_tables(project, low_rank):
    """The ratings in a folder with tables of their users and items."""
    folder = project / "with-tables"
    folder.mkdir()
    rng = np.random.default_rng(3)
    rows = zip(low_rank.user_index, low_rank.item_index, low_rank.rating, strict=True)
    write(folder / "ratings.csv", ["user", "item", "rating"], [(u, i, f"{rating:.4f}") for u, i, rating in rows])
    ages = [(user, rng.integers(18, 70), f"Person {user}") for user in range(low_rank.n_users)]
    write(folder / "users.csv", ["user_id", "age", "name"], ages)
    genres = [(item, rng.choice(["Action|Comedy", "Drama", "Action"])) for item in range(low_rank.n_items)]
    write(folder / "items.csv", ["item_id", "genres"], genres)
    return folder / "ratings.csv"


def write(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def predictions(project, table):
    return pq.read_table(project / table / "current" / "champion").to_pandas().sort_values(["user_id", "item_id"])


def test_the_best_on_held_out_training_ratings_is_published_with_all_ratings(best, recobatch, with_tables, at_project):
    outcome = best("run", with_tables, "--table", "best")
    assert outcome.code == 0, outcome.err
    summary = outcome.json
    assert summary["models"].keys() == summary["table"]["rows"].keys() == MODELS
    errors = {name: model["validation_mse"] for name, model in summary["models"].items()}
    assert summary["champion"] == min(errors, key=errors.get) == "bayesian_mf"
    assert {name: model["trained_on"] for name, model in summary["models"].items()} == {
        "explicit_mf": "train part", "explicit_mf_bias": "train part", "bayesian_mf": "all ratings",
    }  # fmt: skip
    model = summary["models"]["bayesian_mf"]
    assert len(model["loss"]) == 20
    assert model["val_loss"] == []
    columns = {side: report["columns"] for side, report in summary["data"]["side_tables"].items()}
    used = {each["name"]: each["used_as"] for side in columns.values() for each in side}
    assert used == {"age": "numbers", "name": None, "genres": "lists"}
    assert undocumented(summary) == []
    assert (summary["data"]["split_method"], summary["data"]["sorted_by"]) == ("random", "item id")
    remarks = list(choice_remarks(BatchSummary.from_dict(summary)))
    assert remarks[0].startswith(f"★ bayesian_mf: MSE on ratings held out from training {errors['bayesian_mf']:.4f} ± ")
    assert f"; explicit_mf {errors['explicit_mf']:.4f} ± " in remarks[0]
    assert model["validation_behind"] == 0 < model["validation_se"]
    other = summary["models"]["explicit_mf"]
    assert other["validation_behind"] == pytest.approx(errors["explicit_mf"] - errors["bayesian_mf"], abs=1e-6)
    assert remarks[0].split("±")[0].strip() in " ".join(recobatch("compare").out.split())
    assert remarks[1].startswith("Its published predictions know all ratings")
    published = open_table(at_project / "best").current()
    assert published.manifest.extra["summary"]["models"]["bayesian_mf"]["trained_on"] == "all ratings"
    metadata = pq.read_schema(next((at_project / "best" / "current" / "champion").glob("*.parquet"))).metadata
    assert metadata[b"trained_on"] == b"all"

    check_intervals(at_project / "best" / "current", summary)
    check_tracked(at_project, model["mlflow_run_id"])
    table = predictions(at_project, "best")
    check_served(at_project, table)
    scored = recobatch("score", "--table", "best-nightly", "--json")
    assert scored.code == 0, scored.err
    assert scored.json["models"]["bayesian_mf"]["trained_on"] == "all ratings"
    again = predictions(at_project, "best-nightly")
    np.testing.assert_allclose(again["prediction"], table["prediction"], atol=1e-6)
    users, now = (pq.read_table(at_project / name / "current/users.parquet") for name in ("best", "best-nightly"))
    assert now.equals(users)
    check_followed(at_project, recobatch, with_tables, table)


def check_followed(project, recobatch, ratings, before):
    """A night with ratings of a new user and of a new item: both are scored, and nobody else moves."""
    night = ratings.with_name("night.csv")
    night.write_text(ratings.read_text() + "900,1,4.5\n900,2,1.0\n900,700,5.0\n")
    with ratings.with_name("items.csv").open("a") as file:
        file.write("700,Drama\n")
    outcome = recobatch("score", night, "--table", "best-nightly", "--json", "--set", "drift.prediction_shift=null")
    assert outcome.code == 0, outcome.err
    news = outcome.json["data"]["news"]
    assert (news["unknown"], news["unknown_users"]["count"], news["unknown_items"]["count"]) == ("ratings", 1, 1)
    assert "scored from their ratings" in news["told"]
    after = predictions(project, "best-nightly").set_index(["user_id", "item_id"])["prediction"]
    before = before.set_index(["user_id", "item_id"])["prediction"]
    assert len(after) == (before.index.levshape[0] + 1) * (before.index.levshape[1] + 1)
    np.testing.assert_allclose(after[before.index], before, atol=1e-6)
    assert np.isfinite(after).all()
    users = {row["user_id"]: row for row in pq.read_table(project / "best-nightly/current/users.parquet").to_pylist()}
    assert users[900]["ratings"] == 3
    assert users[900]["sd"] > 0


def check_intervals(snapshot, summary):
    for name, model in summary["models"].items():
        assert model["calibrated_on"] == "held-out training ratings"
        assert 0 < model["coverage_90"] <= 1
        assert model["interval_width"] > 0
        assert {"crps", "crps_constant", "nll", "nll_constant", "sd_error_correlation"} <= model.keys()
        assert len(model["coverage_90_by_user_activity"]) == len(model["coverage_90_by_item_popularity"]) == 10
        top = pq.read_table(snapshot / "top" / f"model={name}").to_pandas()
        assert ((top["lower_90"] <= top["prediction"]) & (top["prediction"] <= top["upper_90"])).all()
        assert (top["lower_90"] < top["upper_90"]).mean() > 0.9
    users, items = (pq.read_table(snapshot / f"{side}.parquet") for side in ("users", "items"))
    assert (users.num_rows, items.num_rows) == (60, 40)
    assert sum(users["ratings"].to_pylist()) == sum(items["ratings"].to_pylist()) == summary["data"]["ratings"]
    assert users["sd"].null_count == items["sd"].null_count == 0


def check_tracked(project, run_id):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_address(project))
    run = client.get_run(run_id)
    assert {"test_mse", "validation_mse", "rank", "largest_move", "rms_move", "alpha"} <= run.data.metrics.keys()
    assert {"coverage_90", "interval_width", "sd_error_correlation", "crps", "nll"} <= run.data.metrics.keys()
    assert {"fact.crps_constant", "fact.nll_constant"} <= run.data.params.keys()
    assert [metric.step for metric in client.get_metric_history(run_id, "loss")] == list(range(1, 21))
    assert run.data.params["model.sweeps"] == "20"
    assert not any(name.startswith("train.") for name in run.data.params)
    version = client.get_model_version_by_alias("recobatch", "champion")
    assert (version.run_id, version.tags["trained_on"]) == (run_id, "all")
    assert {"state.npz", "calibration.npz"} <= json.loads(version.tags["sha256"]).keys()


SERVE = """
import json, sys
import mlflow
import pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/recobatch@champion")
rows = pd.DataFrame(json.loads(sys.argv[2]))
folder = mlflow.artifacts.download_artifacts("models:/recobatch@champion")
print(json.dumps([model.predict(rows).tolist(), folder, "tensorflow" in sys.modules]))
"""


def check_served(project, table):
    rows = table.head(5)
    pairs = json.dumps(rows[["user_id", "item_id"]].to_dict("list"))
    command = [sys.executable, "-W", "ignore", "-c", SERVE, tracking_address(project), pairs]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    predicted, folder, has_tensorflow = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(predicted, rows["prediction"], atol=1e-5)
    assert not has_tensorflow
    assert BayesianState.load(Path(folder) / "state" / "state.npz").n_factors == 2


def test_the_same_inputs_are_not_published_twice_and_another_side_table_is_new(best, with_tables):
    args = ("run", with_tables, "--table", "sides", "--set", "models=bayesian_mf", "--set", "drift.error_rise=null")
    first = best(*args)
    assert first.code == 0, first.err
    assert first.json["models"]["bayesian_mf"]["validation_mse"] > 0, "its intervals need held-out ratings"
    assert best(*args).json["unchanged"] is True
    other = with_tables.with_name("other-users.csv")
    write(other, ["user_id", "town"], [(user, f"t{user % 3}") for user in range(60)])
    second = best(*args, "--users", other)
    assert second.code == 0, second.err
    second = second.json
    assert "unchanged" not in second
    assert "train bayesian_mf" not in second["reused"]
    assert second["data"]["side_tables"]["users"]["path"] == str(other)
    forced = best(*args, "--users", other, "--force").json
    assert {"side tables", "train bayesian_mf"} <= set(forced["reused"])
    assert forced["models"]["bayesian_mf"]["loss"] == second["models"]["bayesian_mf"]["loss"]


def test_a_table_that_was_only_found_is_left_out_with_its_reason(best, with_tables, caplog):
    folder = with_tables.parent / "strangers"
    folder.mkdir()
    (folder / "ratings.csv").write_bytes(with_tables.read_bytes())
    write(folder / "users.csv", ["user_id", "age"], [(f"x{number}", number) for number in range(9)])
    outcome = best("run", folder / "ratings.csv", "--table", "strangers", "--set", "models=bayesian_mf")
    assert outcome.code == 0, outcome.err
    assert "found no user of the ratings" in outcome.json["data"]["side_tables"]["users"]["left_out"]
    assert "the table of the users is not used" in caplog.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"data.users: found no file"),
        ("user_id,age\nx1,4\n", "found no user of the ratings among its ids"),
        ("name,age\nx1,4\n", "found no column with the user id"),
    ],
)
def test_a_bad_table_that_was_given_is_refused(best, with_tables, tmp_path, text, words):
    path = tmp_path / "table.csv"
    if text is not None:
        path.write_text(text)
    outcome = best("run", with_tables, "--table", "bad", "--users", path)
    assert outcome.code == 2, outcome.err
    assert words in outcome.refusal
