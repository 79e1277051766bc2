"""One whole run of the real program with secrets everywhere: none of them is kept, and nothing is pickled."""

import base64
import binascii
import functools
import http.server
import io
import json
import os
import pickle
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from recobatch.sources.synthetic import write_synthetic
from tests.support.mlflow_server import free_port, serving
from tests.support.pickles import pickles_in

PROGRAM = [sys.executable, "-c", "from flows.cli.commands import main; main()"]
RUN = [
    *PROGRAM, "run", "--set=train.epochs=2", "--set=model.n_factors=4", "--set=model.sweeps=20",
    "--set=gate.baseline=none", "--json",
]  # fmt: skip
USER = "ann:hush-it's\"password"
"""With both quotes, as they stand in an address: a text that shows the address in quotes ends neither of them there."""
SECRETS = {
    "AWS_ACCESS_KEY_ID": "hush-aws-id",
    "AWS_SECRET_ACCESS_KEY": "hush-aws-key",
    "RECOBATCH_NOTIFY__WEBHOOK": "http://127.0.0.1:9/hush-hook",
}
NOT_ITS_OWN = ("PREFECT_", "TF_", "COVERAGE_")
"""Variables of the suite; what measures coverage writes beside the project."""

# The whole run is made for the first of them, with an MLflow and a Prefect server that start from nothing.
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def only_writing_to(folder):
    """A command prefix under which the whole disk is read-only but for a folder, where this machine allows that."""
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && cd "$0" && exec "$@"'
    for flags in (["--mount"], ["--user", "--map-root-user", "--mount"]):
        prefix = ["unshare", *flags, "sh", "-c", script, str(folder)]
        with suppress(OSError):
            if subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
                return prefix
    return []


class Guarded(http.server.SimpleHTTPRequestHandler):
    """Gives its files to who knows the password and the signature."""

    def log_message(self, *_args):
        pass

    def do_GET(self):
        told = self.headers.get("Authorization", "").removeprefix("Basic ")
        if base64.b64decode(told).decode() == USER and self.path.endswith("?code=hush-signature"):
            super().do_GET()
        else:
            self.send_error(401)

    do_HEAD = do_GET


@contextmanager
def guarded(folder):
    handler = functools.partial(Guarded, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


class Run:
    """A finished run: what it said, and every folder in which something of it may lie."""

    def __init__(self, code, said, folders):
        self.code, self.said, self.folders = code, said, folders

    def files(self):
        for folder in self.folders:
            for path in folder.rglob("*"):
                if path.is_file():
                    content = path.read_bytes()
                    yield path, content
                    with suppress(binascii.Error):  # as Prefect stores pickles: the words in them are not to be seen
                        yield path, base64.b64decode(b"".join(content.split()), validate=True)

    def check_that_nothing_is_kept(self):
        wanted = [b"hush-", base64.b64encode(USER.encode())[:12]]
        assert not [secret for secret in wanted if secret in self.said.encode()]
        assert [(str(path), secret) for path, content in self.files() for secret in wanted if secret in content] == []

    def names_of_files_with(self, words):
        return {path.name.removesuffix("-wal") for path, content in self.files() if words.encode() in content}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """Where guarded ratings are to be had."""
    folder = tmp_path_factory.mktemp("shelf")
    write_synthetic(folder / "ratings.csv", n_users=60, n_items=30, n_ratings=900, seed=3)
    with guarded(folder) as host:
        yield host


@pytest.fixture(scope="module")
def run(shelf, tmp_path_factory):
    project, tracked, port = tmp_path_factory.mktemp("secretive"), tmp_path_factory.mktemp("tracked"), free_port()
    mlflow = [
        "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tracked}/mlflow.db", "--artifacts-destination", str(tracked / "artifacts"),
    ]  # fmt: skip
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(NOT_ITS_OWN)}, **SECRETS,
        "HOME": str(project), "TMPDIR": str(project / "tmp"),
        "MLFLOW_TRACKING_URI": f"http://{USER}@127.0.0.1:{port}",
        "RECOBATCH_DATA__RATINGS": f"http://{USER}@{shelf}/ratings.csv?code=hush-signature",
    }  # fmt: skip
    (project / "tmp").mkdir()
    with serving(mlflow, f"http://127.0.0.1:{port}", tracked):
        done = subprocess.run(
            [*only_writing_to(project), *RUN], cwd=project, env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["data"]["ratings"] == 900
    return Run(0, done.stdout + done.stderr, [project, tracked])


def test_the_run_wrote_to_its_folder_alone(run):
    """As in a container with a read-only root: had it tried to write elsewhere, it would have failed or said so."""
    project = run.folders[0]
    if not only_writing_to(project):
        pytest.skip("this machine lets nobody mount the disk read-only (unshare --mount failed): untested")
    assert "read-only file system" not in run.said.lower()
    assert list((project / "tmp").iterdir()) == []
    assert {".prefect", ".recobatch", "predictions"} <= {path.name for path in project.iterdir()}


def test_no_secret_is_kept_anywhere_but_the_address_without_it(run, shelf):
    run.check_that_nothing_is_kept()
    keeping = run.names_of_files_with(f"http://{shelf}/ratings.csv")
    assert {"prefect.db", "mlflow.db"} <= keeping
    assert any(name.endswith(".html") for name in keeping)


def test_a_run_that_fails_keeps_no_secret_either(recobatch, at_project, shelf, monkeypatch, flow_servers):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RECOBATCH_DATA__RATINGS", f"http://{USER}@{shelf}/gone.csv?code=hush-signature")
    outcome = recobatch("run", "--table", "failing")
    assert outcome.code == 2, outcome.err
    assert outcome.refusal.startswith(f"http://{shelf}/gone.csv: could not fetch it")
    flow_servers.dump(at_project)
    run = Run(2, outcome.out + outcome.err, [at_project, Path(os.environ["PREFECT_HOME"])])
    run.check_that_nothing_is_kept()
    keeping = run.names_of_files_with(f"http://{shelf}/gone.csv: could not fetch it")
    assert "prefect.db" in keeping
    assert len(keeping) > 1, "Prefect stores what a flow raises, and that is what may hold a secret"
    assert pickles_in(Path(os.environ["PREFECT_HOME"], "storage")) == []


def test_the_password_of_a_prefect_server_that_is_away_is_not_printed(tmp_path):
    environment = {**os.environ, "PREFECT_API_URL": f"http://{USER}@127.0.0.1:9/api", "HOME": str(tmp_path)}
    environment.pop("PREFECT_API_AUTH_STRING")
    done = subprocess.run([*RUN, "none.csv"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    Run(done.returncode, done.stdout + done.stderr, [tmp_path]).check_that_nothing_is_kept()
    assert "http://127.0.0.1:9/api: found no answer at this address" in done.stderr


def test_nothing_that_a_run_leaves_is_pickled(run):
    names = {path.name for path, _ in run.files()}
    assert {"model.keras", "factors.npz", "rated.npz", "users.parquet", "manifest.json", "MLmodel"} <= names
    assert [found for folder in run.folders for found in pickles_in(folder)] == []


def packed(content):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("inner/x", content)
    return sink.getvalue()


def saved(array):
    sink = io.BytesIO()
    np.savez(sink, x=array)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        *((pickle.dumps({"a": [1, 2.5]}, protocol), True) for protocol in range(6)),
        (packed(packed(pickle.dumps([1]))), True),
        (saved(np.array([{}, 1], dtype=object)), True),
        (saved(np.arange(3)), False),
        (packed(b'{"a": 1}'), False),
        (b"user,item,rating\n1,2,3\n", False),
        (b"", False),
    ],
)
def test_a_pickle_is_found_whatever_it_is_called(content, is_one, tmp_path):
    (tmp_path / "innocent.csv").write_bytes(content)
    assert bool(pickles_in(tmp_path)) == is_one
