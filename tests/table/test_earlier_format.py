"""Tables of an earlier release: v1, v2, v3 of 3 users and 2 items, rolled back to v2; manifests without parents."""

import shutil
from pathlib import Path

import obstore
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from recobatch.errors import BadTable
from recobatch.storage.bucket import Bucket
from recobatch.table import Table, open_table, published_items, published_users
from recobatch.table.object_store import ObjectStore
from tests.support.small_table import make_model, publish, write_inputs

STORED = Path(__file__).parent / "earlier_format"


def folder(tmp_path):
    return open_table(shutil.copytree(STORED / "folder", tmp_path / "predictions", symlinks=True))


def bucket(tmp_path):
    store = MemoryStore()
    for path in (STORED / "bucket").rglob("*"):
        if path.is_file():
            obstore.put(store, path.relative_to(STORED / "bucket").as_posix(), path.read_bytes())
    return Table(ObjectStore(Bucket(f"memory://{tmp_path.name}", store), tmp_path / "scratch"))


@pytest.fixture(params=[folder, bucket], ids=["folder", "bucket"])
def table(request, tmp_path):
    return request.param(tmp_path)


@pytest.fixture
def inputs(tmp_path):
    return write_inputs(tmp_path / "in", make_model(3, 2))


def test_it_is_read(table):
    snapshot = table.current()
    assert (snapshot.version, snapshot.sequence, snapshot.manifest.parent) == ("v2", 2, None)
    assert [each.version for each in table.snapshots()] == ["v1", "v2", "v3"]
    assert [entry.version for entry in table.rolled_back()] == ["v3"]
    assert sum(pq.ParquetFile(part).metadata.num_rows for part in snapshot.parts("table")) == 6
    assert (len(published_users(snapshot)), len(published_items(snapshot))) == (3, 2)


def test_it_is_verified(table):
    for version in ("v1", "v2", "v3"):
        assert table.verify(version).ok
        assert table.damage(version) == []


def test_it_is_rolled_back(table):
    assert table.rollback().version == table.current().version == "v1"
    assert [entry.version for entry in table.rolled_back()] == ["v2", "v3"]
    with pytest.raises(BadTable, match="found no snapshot older than v1"):
        table.rollback()
    assert table.rollback("v3").version == table.current().version == "v3"
    assert [entry.version for entry in table.rolled_back()] == ["v2"]
    assert table.rollback().version == "v1", "v2 was rolled back"


def test_it_takes_the_next_publish(table, inputs):
    snapshot = publish(table, "v4", inputs, keep=3)
    assert (snapshot.sequence, snapshot.manifest.parent) == (4, "v2")
    assert [each.version for each in table.snapshots()] == ["v1", "v2", "v4"]
    assert [entry.version for entry in table.rolled_back()] == ["v3"]
    assert table.verify().ok
    assert [table.rollback().version for _ in range(2)] == ["v2", "v1"]


def test_its_unfinished_version_is_resumed(table, inputs):
    """In a bucket its shards lay on this machine, where nobody looks for them any more."""
    remote = table.store.is_remote
    staging = (table.store.scratch if remote else table.root) / ".staging-v4-12ab34cd"
    staging.mkdir(parents=True)
    (staging / "shaped-by").write_text('{"version": "v4", "shaped_by": "abc", "notes": {"runs": []}}')
    with table.lock(holder="next"):
        assert table.resume("abc") is None if remote else table.resume("abc").version == "v4"
        table.clean()
    assert not staging.exists()
