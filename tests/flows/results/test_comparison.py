"""Earlier batches side by side, as MLflow keeps them."""

from dataclasses import replace

import pytest
from rich.console import Console

from flows.results.comparison import Comparison, comparison_table
from flows.results.summary import BatchSummary
from tests.support.flow_servers import tracking_address
from tests.support.imports import modules_after
from tests.support.mlflow_server import free_port

QUICK = ("--set", "model.n_factors=4", "--set", "gate.baseline=none", "--table", "compared", "--json")


@pytest.fixture(scope="module")
def summaries():
    return {}


@pytest.fixture
def batches(recobatch, ratings_csv, summaries):
    """Summaries of a batch that was published and of one that only trained, longer; then one that the gate refused."""
    if not summaries:
        summaries["short"] = recobatch("run", ratings_csv, *QUICK, "--set", "train.epochs=2").json
        summaries["long"] = recobatch("train", ratings_csv, *QUICK, "--set", "train.epochs=3").json
        hopeless = ("--set", "models=explicit_mf", "--set", "train.epochs=1", "--set", "gate.baseline=bias")
        assert recobatch("train", ratings_csv, *QUICK, *hopeless).code == 3
    return summaries


def drawn(table):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(table)
    return console.export_text()


@pytest.mark.long
def test_a_batch_looks_in_mlflow_as_at_the_end_of_its_run(batches, recobatch):
    summary = batches["short"]
    (batch,) = recobatch("compare", summary["batch_id"], "--json").json["batches"]
    assert (batch["batch_id"], batch["champion"]) == (summary["batch_id"], summary["champion"])
    for figures in (*summary["baselines"].values(), *summary["models"].values()):
        figures["rankings"] = {key: value for key, value in figures.get("rankings", {}).items() if "_at_" in key}
    assert {name: {"rankings": {}} | one for name, one in batch["baselines"].items()} == summary["baselines"]
    assert {name: model["rankings"] for name, model in batch["models"].items()} == {
        name: model["rankings"] for name, model in summary["models"].items()
    }
    assert {name: model["test_mse"] for name, model in batch["models"].items()} == {
        name: pytest.approx(model["test_mse"]) for name, model in summary["models"].items()
    }
    for name, model in batch["models"].items():
        assert [model[key] for key in ("coverage_90", "interval_width")] == [
            pytest.approx(summary["models"][name][key]) for key in ("coverage_90", "interval_width")
        ]
    assert batch["table"] == {name: summary["table"][name] for name in ("version", "rows")}
    tracked, at_the_end = Comparison.of_tracked(batch), Comparison.of(BatchSummary.from_dict(summary))
    assert drawn(comparison_table(replace(tracked, started=""))) == drawn(comparison_table(at_the_end))


def test_several_are_stacked_with_the_change(batches, recobatch):
    short, long = batches["short"], batches["long"]
    shown = recobatch("compare", short["batch_id"], long["batch_id"]).out
    assert shown.index(short["batch_id"]) < shown.index(long["batch_id"])
    before, after = (batch["models"]["explicit_mf_bias"]["test_mse"] for batch in (short, long))
    assert f"{before:.4f} " in shown
    assert f"{after:.4f} ({after - before:+.4f})" in shown
    one, two = (batch["models"]["explicit_mf_bias"] for batch in (short, long))
    change = 100 * (two["coverage_90"] - one["coverage_90"])
    assert f" {one['coverage_90']:.1%} " in shown
    assert f" {two['coverage_90']:.1%} ({change:+.1f}) " in shown
    assert f" {two['interval_width']:.2f} ({two['interval_width'] - one['interval_width']:+.2f}) " in shown
    assert f"baseline bias {short['baselines']['bias']['test_mse']:.4f} (+0.0000)" in " ".join(
        shown.replace("│", "").split()
    )


def test_the_newest_by_itself_and_what_the_gate_refused(batches, recobatch):
    (newest,) = recobatch("compare", "--json").json["batches"]
    assert list(newest["models"]) == ["explicit_mf"]
    assert "table" not in newest
    assert newest["gate"].startswith("gate.baseline: found test MSE")
    assert "not published: gate.baseline" in recobatch("compare").out
    three = recobatch("compare", "-n", "3", "--json").json["batches"]
    assert [batch["batch_id"] for batch in three] == [
        batches["short"]["batch_id"],
        batches["long"]["batch_id"],
        newest["batch_id"],
    ]


def test_a_batch_that_never_was(batches, recobatch):
    outcome = recobatch("compare", batches["short"]["batch_id"], "b9")
    assert outcome.code == 2
    assert "found no run of the batch 'b9', expected a tracked batch (newest: " in outcome.refusal
    assert batches["long"]["batch_id"] in outcome.refusal


def test_without_any_batch_nothing_is_made(recobatch, new_project):
    outcome = recobatch("compare")
    assert outcome.code == 2
    assert "found no batch, expected one to compare; run recobatch run first" in outcome.refusal
    assert list(new_project.iterdir()) == []


def test_settings_that_differ_are_named(batches, recobatch):
    ids = [batches[name]["batch_id"] for name in ("short", "long")]
    shown = recobatch("compare", *ids).out
    assert f"Settings that differ from batch {ids[0]}: train.epochs 2 → 3." in shown
    first, second = recobatch("compare", *ids, "--json").json["batches"]
    assert (first["compared_with"], first["settings_changed"]) == (None, {})
    assert second["compared_with"] == ids[0]
    assert second["settings_changed"] == {"train.epochs": {"before": "2", "now": "3"}}
    assert "settings" not in second


@pytest.mark.long
def test_only_a_batch_of_the_same_ratings_is_compared_with(batches, recobatch, ratings_csv):
    other = ratings_csv.with_name("other.csv")
    other.write_text("".join(ratings_csv.read_text().splitlines(keepends=True)[:-100]))
    of_other = recobatch("train", other, *QUICK, "--set", "train.epochs=2").json["batch_id"]
    short, long = (batches[name]["batch_id"] for name in ("short", "long"))
    shown = " ".join(recobatch("compare", short, of_other, long).out.split())
    assert f"Other ratings than batch {short}; no changes are shown." in shown
    assert f"Other ratings than batch {of_other}; changes are against batch {short}." in shown
    assert shown.count("Settings that differ") == 1
    one, two, three = recobatch("compare", short, of_other, long, "--json").json["batches"]
    assert one["dataset_fingerprint"] == three["dataset_fingerprint"] != two["dataset_fingerprint"]
    assert [each["compared_with"] for each in (one, two, three)] == [None, None, short]


@pytest.mark.parametrize(
    ("status", "words"),
    [("KILLED", "was killed"), ("FAILED", "failed"), ("RUNNING", "is still running, or its process ended")],
)
def test_a_batch_that_did_not_end_well_says_so(batches, recobatch, status, words, at_project):
    from mlflow import MlflowClient

    batch = batches["long"]
    run_id = batch["models"]["explicit_mf"]["mlflow_run_id"]
    client = MlflowClient(tracking_address(at_project))
    client.update_run(run_id, status)
    try:
        assert f"! This batch {words}" in recobatch("compare", batch["batch_id"]).out
        (told,) = recobatch("compare", batch["batch_id"], "--json").json["batches"]
        assert told["status"] == status
    finally:
        client.update_run(run_id, "FINISHED")
    assert "! This batch" not in recobatch("compare", batch["batch_id"]).out


def test_without_mlflow_one_line_says_so_and_nothing_of_records(recobatch, caplog):
    outcome = recobatch("compare", "--set", f"tracking.uri=http://127.0.0.1:{free_port()}")
    assert outcome.code == 1
    assert "found no answer, expected the runs of earlier batches; start the server" in outcome.refusal
    assert "kept on disk" not in outcome.err + caplog.text


@pytest.mark.long
@pytest.mark.process
def test_comparing_starts_neither_prefect_nor_tensorflow(at_project):
    loaded = modules_after(
        "from click.testing import CliRunner\nfrom flows.cli.commands import cli\nCliRunner().invoke(cli, ['compare'])"
    )
    assert "mlflow" in loaded
    assert not loaded & {"prefect", "tensorflow", "keras"}
