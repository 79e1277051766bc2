"""A real Prefect server, and a project folder with a real MLflow database, for all flow tests."""

import csv
import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.support.blank_figures import save_blank


@pytest.fixture
def server(prefect_api, monkeypatch):
    """This process pointed at the server."""
    from prefect.flow_engine import BaseFlowRunEngine
    from prefect.settings import PREFECT_API_URL, temporary_settings

    # A run waits up to a second for the thread of its heartbeat to end; nobody listens to it here.
    monkeypatch.setattr(BaseFlowRunEngine, "heartbeat_seconds", None)
    monkeypatch.setenv("PREFECT_API_URL", prefect_api)
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        yield prefect_api


@pytest.fixture(autouse=True)
def two_models(monkeypatch):
    """Whole runs train the notebook's two models and compare them on the test part, unless a test says otherwise."""
    monkeypatch.setenv("RECOBATCH_MODELS", "explicit_mf,explicit_mf_bias")
    monkeypatch.setenv("RECOBATCH_CHAMPION__VALIDATION_FRACTION", "0")


@pytest.fixture
def one_model(two_models, monkeypatch):
    """Of the two models one alone, for tests of what surrounds the models: a run takes half as long."""
    monkeypatch.setenv("RECOBATCH_MODELS", "explicit_mf_bias")


@pytest.fixture(autouse=True)
def blank_figures(monkeypatch):
    """The figures of a report are built but not drawn."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", save_blank)


@pytest.fixture(autouse=True)
def keras_here(monkeypatch):
    """Models train in this process, which imports TensorFlow once for all tests; the cold starts have one for them."""
    monkeypatch.setattr("flows.cli.launch.keras_process", nullcontext)


@pytest.fixture(scope="module")
def project(tmp_path_factory, flow_servers) -> Path:
    """A project folder for the tests of one module, with a registry and tables of its own."""
    folder = tmp_path_factory.mktemp("project")
    with flow_servers.tracking(folder):
        yield folder


@pytest.fixture
def local_tracking(project, monkeypatch):
    """Runs are tracked in a database of their folder, whatever the other tests use."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def new_project(local_tracking, at_project, tmp_path, monkeypatch):
    """A folder where nothing has been run; a server would know the batches of other folders."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def at_project(project, monkeypatch):
    monkeypatch.chdir(project)
    return project


@pytest.fixture(scope="module")
def ratings_csv(project, low_rank) -> Path:
    """The low-rank truth as a file with string user ids."""
    path = project / "ratings.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["userId", "movieId", "rating", "timestamp"])
        rows = zip(low_rank.user_index, low_rank.item_index, low_rank.rating, low_rank.timestamp, strict=True)
        writer.writerows((f"u{user:02d}", item + 100, f"{rating:.4f}", time) for user, item, rating, time in rows)
    return path


@pytest.fixture(autouse=True)
def signals_stay_those_of_pytest(monkeypatch):
    """Where a test runs a command in this process."""
    monkeypatch.setattr("flows.cli.commands.raise_on_signals", lambda: None)


@pytest.fixture
def recobatch(server, at_project, monkeypatch, capsys):
    """Run a command line in this process: ``recobatch("run", …)`` → exit code, stdout, stderr."""

    def run(*arguments):
        from flows.cli import commands as cli

        monkeypatch.setattr("sys.argv", ["recobatch", *map(str, arguments)])
        # Prefect's console handler keeps the stderr of the test that imported it, which is closed by now.
        monkeypatch.setattr("logging.raiseExceptions", False)
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        out, err = capsys.readouterr()
        return Outcome(exit_.value.code or 0, out, err)

    return run


@pytest.fixture
def copied(at_project):
    """Copy a published table for a test that changes it: ``copied("whole", "mine")`` → its current version, if any."""

    def copied(source, table):
        shutil.copytree(at_project / source, at_project / table, symlinks=True)
        current = at_project / table / "current"
        return current.readlink().name if current.is_symlink() else None

    return copied


@pytest.fixture(scope="module")
def finished() -> dict:
    """What was run once for several tests of a module, by a name."""
    return {}


class Outcome:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out.splitlines()[-1])

    @property
    def refusal(self):
        """The one line on stderr that says what went wrong."""
        lines = [line for line in self.err.splitlines() if line.startswith("recobatch: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("recobatch: ")
