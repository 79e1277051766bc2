"""Objects below a URI on a real S3 server."""

import os

import numpy as np
import pytest

from recobatch.errors import BadTable
from recobatch.storage import bucket as bucket_module
from recobatch.storage.bucket import Bucket
from recobatch.storage.store_errors import PreconditionFailed


@pytest.fixture
def bucket(s3):
    return Bucket.open(s3.uri)


def test_a_write_holds_only_over_the_state_that_was_seen(bucket):
    assert bucket.read("a") is None
    first = bucket.write("a", b"1", over=None)
    with pytest.raises(PreconditionFailed):
        bucket.write("a", b"2", over=None)
    second = bucket.write("a", b"3", over=first)
    with pytest.raises(PreconditionFailed):
        bucket.write("a", b"4", over=first)
    assert bucket.read("a") == (b"3", second)
    bucket.delete(["a", "never there"])
    with pytest.raises(PreconditionFailed):
        bucket.write("a", b"5", over=second)
    assert bucket.read("a") is None


@pytest.mark.parametrize("size", [0, 1000, 12 * 2**20], ids=["empty", "one request", "several parts"])
def test_a_file_comes_back_as_it_went(bucket, tmp_path, monkeypatch, s3_server, size):
    monkeypatch.setattr(bucket_module, "_CHUNK", 5 * 2**20)
    monkeypatch.setattr(bucket_module, "_SINGLE", 5 * 2**20)
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(np.random.default_rng(1).bytes(size))
    s3_server.reset()
    bucket.upload("folder/file", there, scratch="parts")
    parts = -(-size // (5 * 2**20))
    copies = 1 if parts > 1 else 0
    assert sum(request.startswith("PUT") for request in s3_server.requests) == max(1, parts) + copies
    bucket.fetch("folder/file", back)
    assert back.read_bytes() == there.read_bytes()
    assert bucket.sizes("folder") == {"file": size}
    assert bucket.children() == (["folder"], [])
    assert bucket.children("folder") == ([], ["file"])


@pytest.fixture(params=["one request", "several parts"])
def one_and_two(request, tmp_path, monkeypatch):
    """Two files that are uploaded in one request, or as those that are too large for that."""
    monkeypatch.setattr(bucket_module, "_SINGLE", 2**20 if request.param == "one request" else 1)
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two")
    return tmp_path / "one", tmp_path / "two"


def test_a_file_never_lands_on_another(bucket, one_and_two):
    one, two = one_and_two
    bucket.upload("file", one, scratch="parts")
    with pytest.raises(PreconditionFailed):
        bucket.upload("file", two, scratch="parts")
    assert bucket.read("file")[0] == b"one"
    assert bucket.children() == ([], ["file"])


def test_a_large_file_that_is_overtaken_finds_its_name_taken(bucket, one_and_two, monkeypatch):
    """Another has the name between the upload of the parts and its end."""
    one, two = one_and_two
    monkeypatch.setattr(bucket_module, "_SINGLE", 1)
    put_parts = bucket._put_parts

    def overtaken(name, path):
        put_parts(name, path)
        if path == one:
            bucket.upload("file", two, scratch="parts")

    monkeypatch.setattr(bucket, "_put_parts", overtaken)
    with pytest.raises(PreconditionFailed):
        bucket.upload("file", one, scratch="parts")
    assert bucket.read("file")[0] == b"two"
    assert bucket.children() == ([], ["file"])


def test_a_large_file_that_is_renewed_is_written_over_itself(bucket, one_and_two):
    one, _ = one_and_two
    first = bucket.upload("file", one, scratch="parts")
    assert bucket.upload("file", one, scratch="parts", renew=True) != first
    assert bucket.read("file")[0] == b"one"


def test_only_what_is_read_is_fetched(bucket, s3_server):
    content = bytes(range(200))
    bucket.write("file", content, over=None)
    with bucket.open_file("file") as file:
        s3_server.reset()
        file.seek(-10, os.SEEK_END)
        assert file.read(100) == content[-10:]
        file.seek(50)
        assert file.read(5) == content[50:55]
        assert file.tell() == 55
        assert file.read(0) == b""
        assert len(s3_server.requests) == 2


def test_a_missing_object_is_told_by_name(bucket, s3):
    with pytest.raises(BadTable, match=rf"{s3.uri}: found no such object while trying to open versions/v1/x, expected"):
        bucket.open_file("versions/v1/x")
