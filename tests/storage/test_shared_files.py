"""What machines without a common disk exchange: a model's files for workers, and stage outputs for the next run."""

import errno
import os
import shutil

import pytest

from recobatch.errors import BadSettings, BadTable, RecobatchError
from recobatch.storage import scratch, shared_files
from recobatch.storage.bucket import Bucket
from recobatch.storage.shared_files import SharedFiles, SharedModel
from recobatch.storage.workspace import Workspace
from tests.support.small_table import make_model, write_inputs


@pytest.fixture
def shared(s3):
    return SharedFiles(Bucket.open(f"s3://{s3.name}/work"))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Another machine's folder for temporary files."""

    def begin(name):
        (tmp_path / name).mkdir(exist_ok=True)
        monkeypatch.setattr(scratch.tempfile, "gettempdir", lambda: str(tmp_path / name))
        monkeypatch.setattr(shared_files, "_checked", set())
        return tmp_path / name

    return begin


@pytest.fixture
def model(tmp_path):
    return write_inputs(tmp_path / "model", make_model(20, 10))


def test_a_model_is_fetched_once_and_is_the_same(shared, model, machine, s3_server):
    sent = SharedModel.upload(shared, model)
    assert SharedModel.upload(shared, model) == sent
    machine("worker")
    fetched = sent.fetch()
    assert fetched.fingerprints == model.fingerprints
    s3_server.reset()
    assert sent.fetch() == fetched
    assert s3_server.requests == []


def test_models_share_what_is_the_same(shared, model, machine, s3_server, tmp_path):
    other = write_inputs(tmp_path / "other", make_model(20, 10, seed=9))
    first, second = SharedModel.upload(shared, model), SharedModel.upload(shared, other)
    machine("worker")
    first.fetch()
    s3_server.reset()
    assert second.fetch().fingerprints == other.fingerprints
    fetched = {request.rpartition("/")[2] for request in s3_server.requests}
    assert fetched == {second.files["factors.npz"]}


def test_a_damaged_copy_is_fetched_again_and_a_damaged_object_is_refused(shared, model, machine, s3):
    sent = SharedModel.upload(shared, model)
    machine("worker")
    fetched = sent.fetch()
    machine("worker")  # the same, after a start of its process
    fetched.factors.unlink()
    fetched.factors.write_bytes(b"damaged")
    assert sent.fetch().fingerprints == model.fingerprints
    s3.client.put_object(Bucket=s3.name, Key=f"work/files/{sent.files['factors.npz']}", Body=b"other")
    machine("another worker")
    with pytest.raises(BadTable, match=r"work/files/\w+: found sha256 \w+…, expected that of its name"):
        sent.fetch()
    s3.client.delete_object(Bucket=s3.name, Key=f"work/files/{sent.files['factors.npz']}")
    with pytest.raises(BadTable, match="found no such object"):
        sent.fetch()


def test_a_full_disk_is_told_in_one_line(shared, model, machine, monkeypatch):
    sent = SharedModel.upload(shared, model)

    def fetch(self, name, to):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = machine("worker")
    monkeypatch.setattr(Bucket, "fetch", fetch)
    with pytest.raises(RecobatchError, match=rf"{folder}/\S+: found that the disk refused to hold .*No space left"):
        sent.fetch()
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_an_output_of_another_machine_is_reused(s3, tmp_path):
    uri, built = f"s3://{s3.name}/work", []

    def build(out):
        built.append(out)
        (out / "deep").mkdir()
        (out / "deep" / "data.txt").write_text("whole")
        return {"rows": 3}

    here = Workspace.open(uri, root=tmp_path / "here")
    first = here.stage("ingest", {"a": 1}, build)
    there = Workspace.open(uri, root=tmp_path / "there").stage("ingest", {"a": 1}, build)
    assert (first.reused, there.reused, len(built)) == (False, True, 1)
    assert there.report == {"rows": 3}
    assert there.path.is_relative_to(tmp_path / "there" / ".recobatch" / "work")
    assert (there.path / "deep" / "data.txt").read_text() == "whole"

    shutil.rmtree(first.path)
    here.prune(keep_days=2)
    fetched = here.find("ingest", {"a": 1})
    assert fetched is not None
    shutil.rmtree(fetched.path)
    (name,) = here.shared().bucket.sizes("files")
    here.shared().bucket.delete([f"files/{name}"])
    assert not here.stage("ingest", {"a": 1}, build).reused, "one that is not whole is built again"


def test_what_is_old_is_pruned(shared, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    shared.put_folder("ingest-1", tmp_path, ["file"], b"{}")
    days = [1.0]
    real = Bucket.ages
    monkeypatch.setattr(Bucket, "ages", lambda self, folder: dict.fromkeys(real(self, folder), days[0] * 86_400))
    monkeypatch.setattr(Bucket, "age", lambda self, name: days[0] * 86_400)
    shared.prune(keep_days=2)
    assert shared.listing("ingest-1") is not None
    days[0] = 3.0
    shared.prune(keep_days=2)
    assert shared.listing("ingest-1") is None
    assert shared.bucket.sizes("files")
    written = shared.bucket.state(f"files/{shared.put(tmp_path / 'file')}")
    assert written is not None, "and is written again where it is used again"
    days[0] = 5.0
    shared.prune(keep_days=2)
    assert not shared.bucket.sizes("files")


@pytest.mark.parametrize("where", ["ftp://host/x", "s3:/bucket/x", "s3:///x", "s3://key:hush@bucket/x"])
def test_uris_that_cannot_be(where, tmp_path):
    with pytest.raises(BadSettings, match=r"^work\.path: found ") as refused:
        Workspace.open(where, root=tmp_path)
    assert "hush" not in str(refused.value)
