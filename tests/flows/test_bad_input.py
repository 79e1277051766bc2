"""Every kind of bad input at the command line: its exit code, its one line, and nothing changed."""

import ctypes
import hashlib
import shutil
import sqlite3
from contextlib import closing, contextmanager

import pyarrow.parquet as pq
import pytest

from tests.support.bad_input import FILE, ODD, ODD_FILES, REFUSED, TABLE, with_table
from tests.support.paths import REPO

QUICK = (
    "--set=train.epochs=1", "--set=model.n_factors=2", "--set=models=explicit_mf_bias", "--set=gate.baseline=none",
    "--set=tracking.registered_model=bad-input", "--json",
)  # fmt: skip


@pytest.fixture(autouse=True)
def spoiled(local_tracking):
    """Every case may spoil a copy of MLflow's database, so it has to be a file."""


@pytest.fixture
def odd_batch(recobatch, at_project):
    """Publish one of the odd files, once; its summary and where its table lies."""

    def batch(name):
        folder = at_project / "odd" / name
        if name not in _published:
            folder.mkdir(parents=True)
            (folder / FILE).write_bytes(ODD_FILES[name])
            done = recobatch("run", folder / FILE, *QUICK, "--table", folder / TABLE)
            assert done.code == 0, done.err
            _published[name] = done.json
        return _published[name], folder

    return batch


_published: dict[str, dict] = {}


# A file takes a whole run; what is odd in it is `ingest`'s, too.
TAKEN = [pytest.param(name, marks=() if odd.of == "texts" else pytest.mark.long) for name, odd in ODD.items()]


@pytest.mark.parametrize("given", TAKEN)
def test_what_is_odd_is_taken_as_it_was_meant(given, odd_batch, at_project):
    odd = ODD[given]
    summary, folder = odd_batch(odd.of)
    assert summary["data"]["quarantined"] == 0
    published = pq.read_table(folder / TABLE / "current" / "champion", partitioning=None)
    users, items = set(published["user_id"].to_pylist()), set(published["item_id"].to_pylist())
    assert len(published) == len(users) * len(items)
    assert set(odd.users) <= users
    assert set(odd.items) <= items
    clean = [pq.read_table(path) for path in (at_project / ".recobatch" / "work").glob("ingest-*/ratings.parquet")]
    times = {
        time for table in clean if set(table["user_id"].to_pylist()) == users for time in table["timestamp"].to_pylist()
    }
    assert set(odd.times) <= times


# What a file is refused for by `ingest`, tests/test_bad_ratings.py holds to the same in less time; one with a single
# rating value is refused after a whole run.
SHORT = {
    "an empty file", "ragged rows", "ratings outside the range", "a file without permission", "one item", "one rating",
    "a workspace at another URI", "a table folder that is not ours", "a file in place of the table",
}  # fmt: skip
KINDS = [
    pytest.param(name, marks=pytest.mark.long if kind.content is not None and name not in SHORT else ())
    for name, kind in REFUSED.items()
]


@pytest.mark.parametrize("given", KINDS)
def test_what_is_bad_is_refused_in_one_line_and_changes_nothing(given, recobatch, odd_batch, tmp_path, monkeypatch):
    kind = REFUSED[given]
    _, published = odd_batch("texts")
    shutil.copytree(published / TABLE, tmp_path / TABLE, symlinks=True)
    lend_tracking(published.parents[1], tmp_path, with_models="score" in kind.arguments)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECOBATCH_TABLE__PATH", TABLE)
    for name, value in kind.environment:
        monkeypatch.setenv(name, value)
    if kind.content is not None:
        (tmp_path / FILE).write_bytes(kind.content)
    if kind.spoil is not None:
        kind.spoil(tmp_path)
    kept = tmp_path / TABLE if kind.late else tmp_path
    before = state(kept)
    with without_the_rights_of_root():
        outcome = recobatch(*kind.arguments)
    assert outcome.code == kind.code, outcome.err
    assert kind.words in outcome.refusal
    assert "; " in outcome.refusal
    assert "Traceback" not in outcome.err
    assert state(kept) == before


def lend_tracking(project, folder, *, with_models):
    """Give a folder the project's MLflow by copy: it may be spoiled."""
    shutil.copy(project / "mlflow.db", folder)
    if not with_models:
        return
    shutil.copytree(project / "mlruns", folder / "mlruns")
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        for table, column in PLACES:
            moved = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            database.execute(moved, (project.as_uri(), folder.as_uri()))


PLACES = [
    ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"), ("model_versions", "source"),
]  # fmt: skip


def state(folder):
    """What must not change: every file but those that MLflow's database and the table's lock consist of."""
    fluid = ("mlflow.db", ".mlflow.db.lock", ".lock")
    files = [path for path in folder.rglob("*") if not path.name.startswith(fluid)]
    return {str(path.relative_to(folder)): content(path) for path in files if path.is_symlink() or path.is_file()}


def content(path):
    if path.is_symlink():
        return path.readlink()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.stat().st_mode & 0o400 else "unreadable"


@contextmanager
def without_the_rights_of_root():
    """Root reads every file, permission or not, by two of its capabilities: put them down for a while."""
    libc, header = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(0x20080522, 0)
    held = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, held) == 0
    bare = (ctypes.c_uint32 * 6)(*held)
    bare[0] &= ~(1 << 1 | 1 << 2)  # of the effective ones CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, bare) == 0
    try:
        yield
    finally:
        assert libc.capset(header, held) == 0


@pytest.mark.slow
def test_the_page_of_bad_input_lists_every_kind():
    page = (REPO / "docs" / "bad-input.md").read_text(encoding="utf-8")
    assert with_table(page) == page, "python -m tests.support.bad_input docs/bad-input.md updates it"
    assert len(REFUSED) + len(ODD) > 60
