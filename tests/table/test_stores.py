"""What every store of a table has to do: the same tests for a folder and for a bucket."""

from dataclasses import replace

import pytest

from recobatch.errors import TableBusy
from recobatch.storage.store_errors import PreconditionFailed
from recobatch.table import open_table
from recobatch.table.catalog import Catalog
from recobatch.table.manifest import FileEntry, Manifest
from recobatch.table.session import current_session
from tests.support.object_tables import in_memory
from tests.support.small_table import publish, score_into

PART = "table/model=plain/part-00000-v1.parquet"


@pytest.fixture(params=["folder", "bucket"])
def table(request, tmp_path):
    return open_table(tmp_path / "predictions") if request.param == "folder" else in_memory(tmp_path / "scratch")


@pytest.fixture
def store(table):
    table.store.initialize()
    return table.store


def manifest(version, sequence=1):
    files = (FileEntry(PART.replace("v1", version), 1, 7, "0" * 64),)
    return Manifest(version, sequence, "2026-01-01T00:00:00+00:00", "plain", (), {}, files)


def put(store, tmp_path, version="v1", sequence=1):
    staging, of_version = tmp_path / f"staged-{version}", manifest(version, sequence)
    part = staging / of_version.files[0].path
    part.parent.mkdir(parents=True)
    part.write_bytes(b"content")
    (staging / "manifest.json").write_bytes(of_version.dump())
    (staging / "champion").symlink_to("table/model=plain")
    store.put(staging, of_version)
    return of_version


def test_an_empty_place(store):
    assert store.is_table()
    assert store.read_catalog() == (Catalog(), None)
    assert store.versions() == []
    assert store.sizes("v1") == {}
    assert store.read("current.json") is None


def test_a_version_comes_and_goes(store, tmp_path):
    of_version = put(store, tmp_path)
    assert store.versions() == ["v1"]
    assert store.sizes("v1") == {PART: 7, "manifest.json": len(of_version.dump())}
    assert store.check_links(of_version) == []
    assert Manifest.load(store.read("versions/v1/manifest.json"), "here") == of_version
    with store.local_copy(f"versions/v1/{PART}") as path:
        assert path.read_bytes() == b"content"
    store.delete("v1")
    assert (store.versions(), store.sizes("v1")) == ([], {})


def test_the_catalog_is_replaced_only_over_the_state_that_was_read(store, tmp_path):
    first = Catalog().pointing_at(put(store, tmp_path), "a")
    etag = store.write_catalog(first, over=None)
    assert store.read_catalog() == (first, etag)
    second = first.pointing_at(put(store, tmp_path, "v2", 2), "b")
    with pytest.raises(PreconditionFailed):
        store.write_catalog(second, over=None)
    etags = {etag, store.write_catalog(second, over=etag)}
    with pytest.raises(PreconditionFailed):
        store.write_catalog(replace(first, token="c"), over=etag)
    catalog, now = store.read_catalog()
    assert (catalog, len(etags | {now})) == (second, 2)
    assert catalog.version == "v2"


def test_who_finds_another_pointer_than_at_the_start_publishes_nothing(table, inputs):
    publish(table, "v1", inputs)
    with table.lock(holder="late"):
        staging = table.stage("v2")
        entries = {"plain": score_into(staging, "plain", inputs)}
        writer = current_session(table.store)
        table.store.write_catalog(writer.catalog.renewed("rival"), over=writer._etag)
        with pytest.raises(TableBusy, match=r"moved the pointer meanwhile \(now version v1, written by batch rival\)"):
            staging.publish(entries, champion="plain", expected_rows=2400)
    assert table.current().version == "v1"
    assert table.verify().ok


def test_nobody_else_writes_meanwhile(table):
    with table.lock(holder="first"), pytest.raises(TableBusy, match="held by batch first"):
        table.lock(holder="second").__enter__()
    with table.lock(holder="third"):
        assert current_session(table.store).holder == "third"
    assert current_session(table.store) is None
