"""How the job is set up: settings with their sources, and models."""

import json

import pytest
from click.testing import CliRunner

from flows.cli.commands import cli
from flows.settings.tree import all_keys
from recobatch.models import MODEL_NAMES
from recobatch.training import PRESETS
from tests.support.imports import modules_after


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.output
        return done.output

    return invoke


def test_every_setting_has_a_value_and_a_source(invoke, tmp_path, monkeypatch):
    (tmp_path / "recobatch.toml").write_text('preset = "tuned"\n[table]\nkeep = 7\n[drift]\nitems_gone = "null"\n')
    monkeypatch.setenv("RECOBATCH_TABLE__KEEP", "8")
    monkeypatch.setenv("RECOBATCH_SEED", "3")
    shown = json.loads(invoke("settings", "--set", "seed=4", "--json"))["settings"]
    assert list(shown) == all_keys()
    found = {key: tuple(shown[key].values()) for key in shown}
    assert found["preset"] == ("tuned", "recobatch.toml")
    assert found["table.keep"] == (8, "RECOBATCH_TABLE__KEEP")
    assert found["seed"] == (4, "--set")
    assert found["drift.items_gone"] == (None, "recobatch.toml")
    assert found["train.optimizer"] == ("sgd", "preset tuned")
    assert found["top.k"] == (100, "default")
    assert tuple(json.loads(invoke("settings", "--preset", "notebook", "--json"))["settings"]["preset"].values()) == (
        "notebook", "command line",
    )  # fmt: skip


def test_settings_for_people_are_a_line_each_and_can_be_set(invoke):
    lines = invoke("settings", "--set", "split.ratios=0.7,0.2,0.1").splitlines()
    assert [line.split()[0] for line in lines] == all_keys()
    assert next(line for line in lines if line.startswith("split.ratios")).split()[1:] == ["0.7,0.2,0.1", "--set"]
    assert next(line for line in lines if line.startswith("train.patience")).split()[1:] == ["null", "default"]


def test_no_secret_is_shown(invoke, monkeypatch):
    monkeypatch.setenv("RECOBATCH_DATA__RATINGS", "https://ann:hush@host/a.csv?sig=hush")
    for arguments in (["settings"], ["settings", "--json"]):
        shown = invoke(*arguments)
        assert "https://host/a.csv" in shown
        assert "hush" not in shown


def test_every_model_has_a_line_and_the_presets_that_train_it(invoke):
    models = json.loads(invoke("models", "--json"))["models"]
    assert tuple(models) == MODEL_NAMES
    for name, line in zip(MODEL_NAMES, invoke("models").splitlines(), strict=True):
        assert line.split()[0] == name
        assert models[name]["summary"] in line
        assert len(models[name]["summary"]) > 20
        assert set(models[name]["presets"]) <= set(PRESETS)
        assert line.endswith(f"Presets: {', '.join(models[name]['presets'])}.")


@pytest.mark.process
def test_neither_imports_what_only_a_run_needs():
    loaded = modules_after(
        "from click.testing import CliRunner\nfrom flows.cli.commands import cli\n"
        "assert CliRunner().invoke(cli, ['settings']).exit_code == CliRunner().invoke(cli, ['models']).exit_code == 0"
    )
    assert "pydantic" in loaded
    assert not loaded & {"prefect", "mlflow", "tensorflow", "keras"}
