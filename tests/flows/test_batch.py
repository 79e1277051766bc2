"""The whole job on a small known truth, against a real Prefect server and a real MLflow database."""

import errno
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from io import StringIO
from types import SimpleNamespace

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from flows.results.closing import print_closing
from flows.results.summary import BatchSummary
from recobatch.table import Manifest, open_table
from tests.support.flow_runs import MODELS, QUICK, latest_flow_run, task_runs
from tests.support.flow_servers import tracking_address
from tests.support.summary_keys import undocumented

ONE_MODEL = ("--set", "models=explicit_mf_bias")


@pytest.fixture
def batch(recobatch, ratings_csv):
    def batch(*more):
        return recobatch("run", ratings_csv, *QUICK, *more)

    return batch


def predictions(project, table, model):
    return pq.read_table(project / table / "current" / "table" / f"model={model}", partitioning=None)


@pytest.fixture
def published(batch, at_project, finished):
    """One batch for the tests that look at it, in the table ``whole``: its summary, its flow run, the champion then."""
    if "whole" not in finished:
        outcome = batch("--table", "whole")
        assert outcome.code == 0, outcome.err
        champion = client_of(at_project).get_model_version_by_alias("recobatch", "champion")
        flow_run = latest_flow_run("batch-scoring")
        finished["whole"] = SimpleNamespace(summary=outcome.json, flow_run=flow_run, champion=champion)
    return finished["whole"]


def client_of(project):
    from mlflow import MlflowClient

    return MlflowClient(tracking_address(project))


def test_a_batch_publishes_what_its_summary_says(published, at_project, low_rank):
    summary = published.summary
    assert summary["data"] | {"ratings": len(low_rank), "users": 60, "items": 40, "quarantined": 0} == summary["data"]
    assert summary["champion"] in MODELS
    assert summary["table"]["rows"] == dict.fromkeys(MODELS, 2400)
    for name in MODELS:
        model = summary["models"][name]
        assert len(model["loss"]) == len(model["val_loss"]) == 3
        assert model["test_rmse"] == pytest.approx(math.sqrt(model["test_mse"]))
        assert model["train_seconds"] > 0
        table = predictions(at_project, "whole", name)
        assert table.num_rows == 2400
        assert table.schema.names == ["user_id", "item_id", "prediction", "rated"]
        assert pc.sum(table["rated"]).as_py() == len(low_rank)
    assert set(summary["baselines"]) == {"global_mean", "bias", "popularity"}
    assert undocumented(summary) == []
    champion = ds.dataset(at_project / "whole" / "current" / "champion")
    assert (
        champion.schema.metadata[b"mlflow_run_id"].decode() == summary["models"][summary["champion"]]["mlflow_run_id"]
    )


def test_nothing_new_publishes_nothing_and_force_publishes_the_same_bits(batch, published, copied, at_project):
    first = published.summary
    copied("whole", "again")
    second = batch("--table", "again").json
    assert second["unchanged"] is True
    assert second["table"]["version"] == first["table"]["version"]
    assert second["models"] == first["models"]
    before = predictions(at_project, "again", "explicit_mf_bias")
    forced = batch("--table", "again", "--fresh").json
    assert forced["table"]["version"] != first["table"]["version"]
    assert forced["reused"] == []
    assert predictions(at_project, "again", "explicit_mf_bias").equals(before)


@pytest.mark.long
def test_a_run_that_finds_nothing_new_imports_neither_mlflow_nor_tensorflow(
    batch, ratings_csv, at_project, prefect_api
):
    """The run before must be of the same table: MLflow is asked where another one moved the aliases."""
    first = batch("--table", "light", *ONE_MODEL)
    assert first.code == 0, first.err
    program = (
        "import sys\nfrom flows.cli.commands import main\ntry:\n    main()\nfinally:\n"
        "    print([name for name in ('mlflow', 'tensorflow', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program, "run", str(ratings_csv), *QUICK, "--table", "light", *ONE_MODEL]
    env = {**os.environ, "PREFECT_API_URL": prefect_api}
    done = subprocess.run(command, cwd=at_project, env=env, capture_output=True, text=True, check=True, timeout=200)
    summary, loaded = done.stdout.splitlines()[-2:]
    assert json.loads(summary)["unchanged"]
    assert loaded == "[]"


@pytest.mark.long
@pytest.mark.usefixtures("published")
def test_force_reuses_finished_stages_and_dask_publishes_the_same_bits(batch, copied, at_project):
    before = copied("whole", "engines")
    threads = {model: predictions(at_project, "engines", model) for model in MODELS}
    outcome = batch("--table", "engines", "--force", "--engine", "dask")
    assert outcome.code == 0, outcome.err
    forced = outcome.json
    assert forced["table"]["version"] != before
    assert {"ingest", "encode", "split", "train explicit_mf", "train explicit_mf_bias"} <= set(forced["reused"])
    assert len(forced["models"]["explicit_mf"]["loss"]) == 3
    for model in MODELS:
        assert predictions(at_project, "engines", model).equals(threads[model])


def test_a_held_table_is_busy(batch, at_project, project):
    from recobatch.table import open_table

    held = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(at_project / "busy")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert held.stdout.readline() == "held\n"
        outcome = batch("--table", "busy")
        assert outcome.code == 4
        assert "night batch" in outcome.refusal
    finally:
        held.communicate("\n")
    assert open_table(at_project / "busy").current() is None


_HOLD = """
import sys
from pathlib import Path
from recobatch.table import open_table
with open_table(Path(sys.argv[1])).lock(holder="night batch"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.long
def test_one_model_only(batch, at_project):
    summary = batch("--table", "one", "--set", "score.models=champion").json
    assert list(summary["table"]["rows"]) == [summary["champion"]]
    assert [path.name for path in (at_project / "one" / "current" / "table").iterdir()] == [
        f"model={summary['champion']}"
    ]


def test_ratings_that_are_not_there_fail_the_flow_run(recobatch, server):
    outcome = recobatch("run", "no-such-file.csv", "--table", "absent")
    assert outcome.code == 2
    assert "no-such-file.csv" in outcome.refusal
    assert "Traceback" not in outcome.err
    state = latest_flow_run("batch-scoring").state
    assert state.is_failed()
    assert "no-such-file.csv" in state.message.splitlines()[0]


def test_the_flow_run_is_complete_and_readable(published, server):
    run = published.flow_run
    assert run.state.is_completed()
    names = {task.name.rsplit("-", 1)[0] for task in task_runs(run)}
    assert {"ingest ratings", "split ratings", "train explicit_mf", "train explicit_mf_bias", "publish"} <= names
    assert run.parameters["settings"]["train"]["epochs"] == 3


def test_mlflow_holds_both_runs_of_the_batch(published, at_project):
    summary, client = published.summary, client_of(at_project)
    experiment = client.get_experiment_by_name("recobatch")
    runs = client.search_runs([experiment.experiment_id], f"tags.batch_id = '{summary['batch_id']}'")
    assert {run.info.run_id for run in runs} == {
        model["mlflow_run_id"] for model in (*summary["models"].values(), summary["interest"])
    }
    for run in runs:
        if run.data.tags["model"] == "interest":
            continue
        assert run.info.status == "FINISHED"
        assert "mlflow.parentRunId" not in run.data.tags
        assert run.data.params["train.epochs"] == "3"
        steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "val_loss")]
        assert steps == [1, 2, 3]
        assert {"test_mse", "test_rmse", "test_mae", "train_seconds"} <= set(run.data.metrics)
    assert published.champion.run_id == summary["models"][summary["champion"]]["mlflow_run_id"]


@pytest.mark.long
@pytest.mark.usefixtures("published")
def test_training_and_scoring_apart_give_the_same_table(recobatch, ratings_csv, at_project):
    registry = ("--set", "tracking.registered_model=apart")
    trained = recobatch("train", ratings_csv, *QUICK, *registry).json
    assert "table" not in trained
    scored = recobatch("score", "--table", "apart", "--json", *registry)
    assert scored.code == 0, scored.err
    champion = trained["champion"]
    assert scored.json["champion"] == champion
    assert predictions(at_project, "apart", champion).equals(predictions(at_project, "whole", champion))


@pytest.mark.usefixtures("published")
def test_a_night_holds_the_next_batch_to_the_ratings_of_the_last_one(copied, recobatch, at_project, caplog):
    copied("whole", "days")
    table = open_table(at_project / "days")
    before = table.current().manifest.extra["facts"]["ratings_spread"]
    scored = recobatch("score", "--table", "days", "--json", "--set", "score.models=champion")
    assert scored.code == 0, scored.err
    before_version = scored.json["change"]["since"].split()[1]
    assert f"version {before_version} has predictions of models that this one does not have: explicit_mf" in caplog.text
    assert table.current().version == scored.json["table"]["version"]
    assert table.current().manifest.extra["facts"]["ratings_spread"] == before


@pytest.mark.long
@pytest.mark.usefixtures("published")
def test_a_batch_that_lost_its_users_is_refused_once_told_and_published_when_meant(copied, recobatch, at_project):
    stands = copied("whole", "drift")
    few = ("run", "few.csv", *QUICK, "--table", "drift", "--set", "tracking.registered_model=few")
    rows = (at_project / "ratings.csv").read_text().splitlines()
    (at_project / "few.csv").write_text("\n".join([rows[0], *(row for row in rows[1:] if row < "u20")]))
    refused = recobatch(*few)
    assert refused.code == 3, refused.err
    assert "drift.users_gone: 67% of the published users gone" in refused.refusal
    assert (at_project / "drift" / "current").readlink().name == stands
    lifted = ("ratings_drop", "users_gone", "items_gone", "rating_shift", "error_rise", "prediction_shift")
    meant = recobatch(*few, *(f"--set=drift.{key}=null" for key in lifted))
    assert meant.code == 0, meant.err
    assert meant.json["data"]["users"] == 20


@pytest.fixture
def two(batch, finished):
    """Versions of the table ``two``: a batch of one model, and one with other lists after it."""
    if "two" not in finished:
        outcomes = [batch("--table", "two", *ONE_MODEL, *more) for more in ((), ("--set", "top.k=7"))]
        assert [outcome.code for outcome in outcomes] == [0, 0], [outcome.err for outcome in outcomes]
        finished["two"] = [outcome.json["table"]["version"] for outcome in outcomes]
    return finished["two"]


@pytest.mark.long
def test_what_was_rolled_back_does_not_come_back_by_itself(batch, two, copied, recobatch, at_project, caplog):
    first, second = two
    assert copied("two", "back") == second
    batch = partial(batch, *ONE_MODEL)
    assert recobatch("rollback", "--table", "back").code == 0
    night = batch("--table", "back", "--set", "top.k=7")
    assert night.code == 0, night.err
    assert (night.json["unchanged"], night.json["rolled_back"]) == (True, second)
    assert night.json["table"]["version"] == night.json["batch_id"] == first
    assert (at_project / "back" / "current").readlink().name == first
    assert (
        f"version {second} was made from the same inputs and was rolled back; version {first} stays current"
        in caplog.text
    )
    print_closing(BatchSummary.from_dict(night.json), shown := StringIO())
    assert f"Nothing published: this was version {second}, which was rolled back" in shown.getvalue()
    batch("--table", "back", "--set", "top.k=8", "--set", "table.keep=1")
    later = batch("--table", "back", "--set", "top.k=7").json
    assert (later["unchanged"], later["rolled_back"]) == (True, second), "also after the next publish, and its removal"
    meant = batch("--table", "back", "--set", "top.k=7", "--force")
    assert "unchanged" not in meant.json
    assert (at_project / "back" / "current").readlink().name == meant.json["table"]["version"]


@pytest.mark.long
def test_a_snapshot_without_a_summary_ends_a_run_properly(batch, two, copied, recobatch, at_project):
    first, second = two
    assert copied("two", "plain") == second
    batch = partial(batch, *ONE_MODEL)
    folder = at_project / "plain" / "versions" / first
    manifest = Manifest.load((folder / "manifest.json").read_bytes(), str(folder))
    extra = {key: value for key, value in manifest.extra.items() if key != "summary"}
    (folder / "manifest.json").write_bytes(replace(manifest, extra=extra).dump())
    assert recobatch("rollback", "--table", "plain").code == 0
    for settings, expected in (("top.k=7", second), ("top.k=100", None)):
        outcome = batch("--table", "plain", "--set", settings)
        assert outcome.code == 0, outcome.err
        summary = outcome.json
        assert (summary["unchanged"], summary.get("rolled_back")) == (True, expected)
        assert summary["table"]["version"] == summary["batch_id"] == first
        runs = {name: model["mlflow_run_id"] for name, model in summary["models"].items()}
        assert runs == {name: facts.mlflow_run_id for name, facts in manifest.models.items()}
        print_closing(BatchSummary.from_dict(summary), shown := StringIO())
        assert f"Table: plain, version {first}\n" in shown.getvalue()


@pytest.fixture
def no_room_for_the_report():
    """Until ``undo``."""

    def refuse(_inputs, page, _artifacts):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(page))

    with pytest.MonkeyPatch.context() as disk:
        disk.setattr("recobatch.report.page.write_report", refuse)
        yield disk


@pytest.mark.long
def test_a_disk_without_room_for_the_report_undoes_no_publishing(batch, at_project, caplog, no_room_for_the_report):
    outcome = batch("--table", "unreported", *ONE_MODEL)
    assert outcome.code == 0, outcome.err
    version = outcome.json["table"]["version"]
    assert (at_project / "unreported" / "current").resolve().name == version
    assert "report" not in outcome.json
    assert f"version {version} is published, without a report (the next run makes one); free space there" in caplog.text
    assert "Traceback" not in outcome.err
    no_room_for_the_report.undo()
    again = batch("--table", "unreported", *ONE_MODEL).json
    assert (again["unchanged"], again["table"]["version"]) == (True, version)
    assert version in (at_project / again["report"]).read_text()


@pytest.mark.long
@pytest.mark.usefixtures("no_room_for_the_report")
def test_a_disk_without_room_for_the_report_undoes_no_training(recobatch, ratings_csv, caplog):
    outcome = recobatch("train", ratings_csv, *QUICK, *ONE_MODEL)
    assert outcome.code == 0, outcome.err
    assert "report" not in outcome.json
    assert "the models are registered, without a report; free space there" in caplog.text


@pytest.mark.long
@pytest.mark.usefixtures("no_room_for_the_report", "two")
@pytest.mark.parametrize("command", ["run", "train"])
def test_a_refused_champion_leaves_the_old_table_and_a_disk_without_room_for_the_report_hides_no_refusal(
    recobatch, ratings_csv, copied, at_project, caplog, command
):
    table = f"refused-{command}"
    stands = copied("two", table)
    hopeless = ("--set", "models=explicit_mf", "--set", "train.epochs=1")
    outcome = recobatch(command, ratings_csv, "--table", table, *hopeless)
    assert outcome.code == 3, outcome.err
    assert "gate.baseline" in outcome.refusal
    assert "the gate refused, without a report; free space there" in caplog.text
    assert (at_project / table / "current").readlink().name == stands
