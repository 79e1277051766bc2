"""The promise itself: one command on MovieLens 100k, in a process of its own, held to the notebook's figures."""

import json
import os
import subprocess
import sys

import duckdb
import pytest

from recobatch.table import open_table

pytestmark = pytest.mark.long

PRINTED_VAL_LOSS = [0.9472, 0.8547, 0.8305, 0.8318, 0.8487]
"""Of ExplicitMatrixFactorisationBias, epoch by epoch, as the notebook printed it."""
PAIRS = 943 * 1682


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("movielens")


@pytest.fixture(scope="module")
def command(folder):
    """Run ``recobatch`` as a person would: a fresh folder, no server, nothing set."""
    keep = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT", "MLFLOW", "RECOBATCH", "TF_"))
    }

    def command(*arguments):
        program = [sys.executable, "-c", "from flows.cli.commands import main; main()", *map(str, arguments)]
        return subprocess.run(program, cwd=folder, env=keep, capture_output=True, text=True, timeout=280, check=False)

    return command


@pytest.fixture(scope="module")
def summary(command, ml100k_dir):
    done = command("run", ml100k_dir / "u.data", "--preset", "notebook", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_every_pair_of_both_models_is_published(summary, folder):
    assert summary["data"] | {"ratings": 100_000, "users": 943, "items": 1682, "quarantined": 0} == summary["data"]
    assert (summary["data"]["train_rows"], summary["data"]["test_rows"]) == (80_000, 20_000)
    assert summary["table"]["rows"] == {"explicit_mf": PAIRS, "explicit_mf_bias": PAIRS}
    assert open_table(folder / "predictions").verify().ok
    query = "SELECT count(*), count(DISTINCT (user_id, item_id)), sum(rated::int), bool_and(isfinite(prediction))"
    for model in summary["models"]:
        files = folder / "predictions" / "current" / "table" / f"model={model}" / "*.parquet"
        assert duckdb.sql(f"{query} FROM '{files}'").fetchall() == [(PAIRS, PAIRS, 100_000, True)]


def test_the_bias_model_learns_as_the_notebook_printed(summary):
    assert summary["champion"] == "explicit_mf_bias"
    assert summary["models"]["explicit_mf_bias"]["val_loss"] == pytest.approx(PRINTED_VAL_LOSS, abs=0.02)


def test_the_reader_is_told_what_the_models_have_to_beat(summary):
    assert summary["baselines"]["bias"]["test_mse"] == pytest.approx(0.890, abs=0.002)
    assert summary["models"]["explicit_mf"]["test_mse"] > summary["baselines"]["bias"]["test_mse"]
    for model in summary["models"].values():
        assert (model["cold_rows"], model["cold_items"]) == (41, 37)


def test_a_users_best_films_have_titles(summary, command):
    done = command("top", "196", "-k", "3", "--json")
    assert done.returncode == 0, done.stderr
    items = json.loads(done.stdout)["items"]
    assert [item["rank"] for item in items] == [1, 2, 3]
    assert all(item["title"] and not item["rated"] for item in items)


def test_the_report_is_there(summary, folder):
    page = (folder / summary["report"]).read_text(encoding="utf-8")
    assert summary["batch_id"] in page
    assert "<script src" not in page
