"""The command line: what needs no flow, and what it must not import."""

import json
import logging
import os
import subprocess
import sys
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli.commands import cli, main
from flows.cli.table_commands import _table_path
from recobatch.errors import BadSettings, GateRefused, RecobatchError, TableBusy
from tests.support.imports import modules_after
from tools.settings_table import with_settings


def test_help_lists_every_command_and_imports_nothing_heavy():
    loaded = modules_after(
        "from click.testing import CliRunner\nfrom flows.cli.commands import cli\nCliRunner().invoke(cli, ['--help'])"
    )
    assert not loaded & {"prefect", "mlflow", "tensorflow", "keras", "pandas", "pyarrow", "numpy", "pydantic"}
    shown = CliRunner().invoke(cli, ["--help"]).output
    for command in ("run", "train", "score", "compare", "top", "verify", "versions", "rollback", "serve", "synth"):
        assert f"  {command} " in shown


@pytest.mark.long
@pytest.mark.process
def test_scoring_imports_no_tensorflow():
    loaded = modules_after("import flows.score")
    assert "prefect" in loaded
    assert not loaded & {"tensorflow", "keras"}


@pytest.mark.parametrize(
    ("flow", "parameters", "published", "expected"),
    [
        ("batch-scoring", {}, True, False),
        ("batch-scoring", {}, False, True),
        ("batch-scoring", {"force": True}, True, True),
        ("batch-scoring", {"fresh": True}, True, True),
        ("train-models", {}, True, True),
        ("score-pairs", {}, False, True),
    ],
)
def test_mlflow_is_opened_at_once_only_where_it_is_sure_to_be_needed(
    flow, parameters, published, expected, tmp_path, monkeypatch
):
    from flows.cli import launch as module
    from flows.settings.load import load_settings

    class Enough(Exception):
        pass

    def stop(**_):
        raise Enough

    opened = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")  # so that no server is started
    monkeypatch.setattr(module, "_open_tracker", opened.append)
    monkeypatch.setattr(module, "_calm_console", stop)
    if published:
        (tmp_path / "predictions" / "current").mkdir(parents=True)
    with pytest.raises(Enough):
        module.launch(flow, load_settings(environment={}), as_json=False, **parameters)
    assert bool(opened) is expected


@pytest.mark.parametrize(
    ("flow", "models", "parameters", "has_run", "expected"),
    [
        ("batch-scoring", ["explicit_mf", "bayesian_mf"], {}, False, True),
        ("batch-scoring", ["explicit_mf", "bayesian_mf"], {"force": True}, True, False),
        ("batch-scoring", ["explicit_mf", "bayesian_mf"], {"fresh": True}, True, True),
        ("train-models", ["explicit_mf"], {}, False, True),
        ("batch-scoring", ["bayesian_mf"], {}, False, False),
        ("batch-scoring", ["explicit_mf", "mine:build"], {}, False, False),
        ("evaluate-models", ["explicit_mf"], {"fresh": True}, True, False),
    ],
)
def test_tensorflow_is_imported_beside_the_start_only_where_keras_models_are_sure_to_be_trained(
    flow, models, parameters, has_run, expected, tmp_path, monkeypatch
):
    from flows.cli.launch import _will_train
    from flows.settings.load import load_settings

    monkeypatch.chdir(tmp_path)
    if has_run:
        (tmp_path / ".recobatch" / "work").mkdir(parents=True)
    settings = load_settings({"models": models}, environment={})
    assert _will_train(flow, settings, parameters) is expected
    if has_run:  # there, and not where this run finds outputs of stages
        elsewhere = load_settings({"models": models, "work": {"path": "elsewhere"}}, environment={})
        assert _will_train(flow, elsewhere, parameters) is (flow == "batch-scoring")


@pytest.mark.long
@pytest.mark.process
def test_importing_the_flows_imports_no_tensorflow():
    assert not modules_after("import flows.batch") & {"tensorflow", "keras"}


@pytest.mark.process
def test_a_look_up_imports_neither_pandas_nor_settings_nor_a_server(tmp_path):
    loaded = modules_after(
        "from click.testing import CliRunner\nfrom flows.cli.commands import cli\n"
        f"CliRunner().invoke(cli, ['top', '1', '--table', {str(tmp_path)!r}])"
    )
    assert "recobatch.scoring.top" in loaded
    assert not loaded & {"prefect", "mlflow", "tensorflow", "keras", "pandas", "pydantic", "rich", "recobatch.table"}


@pytest.mark.parametrize("command", ["run", "versions", "serve", "compare"])
def test_a_folder_that_was_removed_is_named(command, tmp_path, monkeypatch, capsys):
    from flows.cli import commands as module

    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr("sys.argv", ["recobatch", command])
    with pytest.raises(SystemExit) as exit_:
        module.main()
    assert exit_.value.code == 2
    assert "found no working folder (No such file or directory), expected the project's" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runn"], "No such command"),
        (["run", "--set", "train.epoch=1"], "did you mean train.epochs?"),
        (["run", "--preset", "newest"], "'newest' is not one of 'best', 'notebook', 'tuned'"),
        (["top"], "Missing argument 'USER_ID'"),
        (["top", "1", "-k", "0"], "0 is not in the range"),
        (["top", "1", "--table", "nowhere"], "nowhere"),
        (["verify", "--table", "nowhere"], "nowhere"),
        (["versions", "--table", "nowhere"], "nowhere: found no published snapshot, expected one"),
        (["rollback", "--table", "nowhere"], "nowhere"),
        (["synth", "--users", "0", "--items", "1", "--ratings", "1", "x.csv"], "0 is not in the range"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_why(arguments, words, tmp_path, monkeypatch, capsys):
    from flows.cli import commands as module

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["recobatch", *arguments])
    with pytest.raises(SystemExit) as exit_:
        module.main()
    assert exit_.value.code == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["run", "--set", "train.epoch=1"], 2, "bad input"),
        (["train", "--preset", "newest"], 2, "usage"),
        (["score", "--set", "x"], 2, "bad input"),
        (["compare"], 2, "bad input"),
        (["top", "1", "--table", "nowhere"], 2, "bad input"),
        (["verify", "--table", "nowhere"], 2, "bad input"),
        (["versions", "--table", "nowhere"], 2, "bad input"),
        (["rollback", "--table", "nowhere"], 2, "bad input"),
        (["serve", "--set", "seed=-1"], 2, "bad input"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_failure_is_a_json_object_too(arguments, code, kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    told = []
    for more in ([], ["--json"]):
        found, out, err = outcome([*arguments, *more], monkeypatch, capsys)
        assert found == code
        told.append((out, err))
    (plain, said), (printed, also_said) = told
    assert plain == ""
    assert said == also_said, "stderr is the same"
    failure = json.loads(printed.splitlines()[-1])
    assert failure == {"error": said.removeprefix("recobatch: ").rstrip("\n"), "exit_code": code, "kind": kind}


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (GateRefused("gate.x: found 1"), 3, "refused"),
        (TableBusy("held"), 4, "busy"),
        (RecobatchError("no"), 1, "failed"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_exit_code_has_its_object(error, code, kind, tmp_path, monkeypatch, capsys):
    def launch(*_, **__):
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.cli.launch.launch", launch)
    found, out, err = outcome(["run", "--json"], monkeypatch, capsys)
    failure = json.loads(out)
    assert (found, failure["exit_code"], failure["kind"]) == (code, code, kind)
    assert err.lstrip("\n") == f"recobatch: {failure['error']}\n"


def test_an_error_that_nobody_foresaw_keeps_its_traceback(tmp_path, monkeypatch, capsys):
    def launch(*_, **__):
        raise ZeroDivisionError("by zero")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("flows.cli.launch.launch", launch)
    with pytest.raises(ZeroDivisionError):
        outcome(["run", "--json"], monkeypatch, capsys)
    expected = {"error": "ZeroDivisionError: by zero", "exit_code": 1, "kind": "unexpected"}
    assert json.loads(capsys.readouterr().out) == expected


def outcome(arguments, monkeypatch, capsys):
    """Exit code, stdout and stderr of the entry point."""
    monkeypatch.setattr("sys.argv", ["recobatch", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return exit_.value.code, *capsys.readouterr()


def test_synthetic_ratings_from_the_command_line(tmp_path):
    path = tmp_path / "ratings.parquet"
    arguments = ["synth", "--users", "50", "--items", "20", "--ratings", "300", "--seed", "1", str(path)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0
    assert "300 ratings of 50 users and 20 items" in done.output
    assert path.exists()


def test_the_table_s_path_is_that_of_the_settings(tmp_path, monkeypatch):
    from flows.settings.load import load_settings

    monkeypatch.chdir(tmp_path)
    assert _table_path(None) == load_settings().table.path
    (tmp_path / "recobatch.toml").write_text('[table]\npath = "elsewhere"\n')
    assert _table_path(None) == load_settings().table.path
    monkeypatch.setenv("RECOBATCH_TABLE__PATH", "third")
    assert _table_path(None) == load_settings(environment={"RECOBATCH_TABLE__PATH": "third"}).table.path
    assert _table_path("fourth") == "fourth"


def test_the_page_of_settings_lists_every_setting():
    page = Path(__file__).parents[3].joinpath("docs/settings.md").read_text(encoding="utf-8")
    assert with_settings(page) == page, "python -m tools.settings_table docs/settings.md updates it"


@pytest.mark.process
def test_a_person_at_a_terminal_is_told_of_a_missing_file_before_anything_starts(tmp_path):
    master, slave = os.openpty()
    run = [sys.executable, "-c", "from flows.cli.commands import main; main()", "run", "nothing.csv"]
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_HOME"}
    process = subprocess.Popen(run, cwd=tmp_path, env=environment, stdout=slave, stderr=slave)
    os.close(slave)
    assert process.wait() == 2
    assert os.read(master, 4096).decode().startswith("recobatch: nothing.csv: found nothing there, expected ratings (")
    os.close(master)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["[table", 'table = "x"', '[tabel]\npath = "x"', "[table]\npath = 3", "[train]\nepochs = 0"]
)
@pytest.mark.parametrize(
    "arguments", [["top", "7"], ["versions"], ["rollback"], ["verify"]], ids=lambda words: words[0]
)
def test_an_invalid_toml_is_the_same_error_as_that_of_a_run(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recobatch.toml").write_text(text)
    error = CliRunner().invoke(cli, arguments).exception
    assert isinstance(error, BadSettings)
    assert error.exit_code == 2
    assert str(error) == str(CliRunner().invoke(cli, ["run"]).exception)
    assert "recobatch.toml" in str(error)
    assert "\n" not in str(error)


def test_serve_fixes_only_what_its_command_line_sets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recobatch.toml").write_text("seed = 5\n")
    served = []
    monkeypatch.setattr("flows.cli.serve.serve_batches", lambda settings, **_: served.append(settings))
    arguments = ["serve", "a.csv", "--preset", "tuned", "--set", "train.epochs=2"]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert CliRunner().invoke(cli, ["serve"]).exit_code == 0
    assert served == [{"preset": "tuned", "data": {"ratings": "a.csv"}, "train": {"epochs": 2}}, {}]


@pytest.mark.parametrize(
    ("is_own_server", "shown"), [(True, ["it failed"]), (False, ["View at http://x", "it failed"])]
)
def test_no_link_to_a_server_that_ends_with_the_run_is_printed(is_own_server, shown, monkeypatch):
    from flows.cli.launch import _calm_console

    out = StringIO()
    monkeypatch.setattr("logging.raiseExceptions", True)
    for name in ("prefect", "prefect._internal", None):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    logger = logging.getLogger("prefect")
    logger.handlers.append(logging.StreamHandler(out))
    monkeypatch.setattr(logger, "level", logging.INFO)
    monkeypatch.setattr(logger, "propagate", False)
    _calm_console(quiet=False, is_own_server=is_own_server)
    for line in ("View at http://x", "it failed"):
        logger.info(line)
    assert out.getvalue().splitlines() == shown


def test_the_server_starts_before_the_settings_are_read_except_in_a_new_folder(tmp_path, monkeypatch):
    from flows.cli import start

    started = []

    @contextmanager
    def server():
        started.append(True)
        yield "a server"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / ".prefect"))
    monkeypatch.setattr(start, "prefect_server", server)
    for expected in (None, "a server"):
        with start.started_server() as found:
            assert found == expected
        assert bool(started) is (expected is not None)
        (tmp_path / ".prefect").mkdir(exist_ok=True)
