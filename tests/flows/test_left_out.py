"""Models that diverge or fail the gate are left out; the batch is published without them."""

import pytest

from tests.support.summary_keys import undocumented

pytestmark = pytest.mark.long

DIVERGING = (
    "--set", "train.optimizer=sgd", "--set", "train.learning_rate=100", "--set", "train.epochs=3",
    "--set", "model.n_factors=2", "--set", "model.bayesian_factors=2", "--set", "model.sweeps=60",
    "--set", "split.method=random",
    "--set", "gate.ranking=warn", "--json",
)  # fmt: skip


@pytest.fixture
def run(recobatch, ratings_csv, monkeypatch):
    """A batch whose explicit_mf diverges, and whose explicit_mf_bias is worse than the mean rating."""
    monkeypatch.delenv("RECOBATCH_CHAMPION__VALIDATION_FRACTION")

    def run(models, table):
        monkeypatch.setenv("RECOBATCH_MODELS", models)
        return recobatch("run", ratings_csv, "--table", table, *DIVERGING)

    return run


def test_a_model_that_diverges_and_one_that_fails_the_gate_are_left_out(run, recobatch, at_project, caplog):
    outcome = run("explicit_mf,explicit_mf_bias,bayesian_mf", "left-out")
    assert outcome.code == 0, outcome.err
    summary = outcome.json
    assert summary["models"].keys() == {"explicit_mf_bias", "bayesian_mf"}
    assert summary["table"]["rows"].keys() == {"bayesian_mf"}
    assert summary["champion"] == "bayesian_mf"
    assert summary["left_out"].keys() == {"explicit_mf", "explicit_mf_bias"}
    assert "training ExplicitMF: found a loss of" in summary["left_out"]["explicit_mf"]
    assert "lower train.learning_rate, it is 100" in summary["left_out"]["explicit_mf"]
    assert "of the baseline global_mean" in summary["left_out"]["explicit_mf_bias"]
    assert undocumented(summary) == []
    assert "explicit_mf is left out: training ExplicitMF: found a loss" in caplog.text
    assert "explicit_mf_bias is left out: gate.baseline: found test MSE" in caplog.text
    page = (at_project / summary["report"]).read_text(encoding="utf-8")
    assert "explicit_mf is left out" in page
    assert "explicit_mf_bias is left out" in page
    compared = " ".join(recobatch("compare").out.split())
    assert "explicit_mf is left out: training ExplicitMF" in compared
    assert "its figures may be incomplete" not in compared
    assert run("explicit_mf,explicit_mf_bias,bayesian_mf", "left-out").json["unchanged"] is True


def test_a_batch_whose_models_all_diverge_fails(run, at_project):
    outcome = run("explicit_mf", "nothing")
    assert outcome.code == 1
    assert outcome.refusal.startswith("training ExplicitMF: found a loss of ")
    assert not (at_project / "nothing" / "current").exists()
