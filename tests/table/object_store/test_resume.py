"""A run that died while it wrote to a bucket, and the one that resumes it, on this machine or another."""

from contextlib import suppress

import pytest

from recobatch.errors import RecobatchError
from recobatch.scoring.predictions import ScoreOptions, plan_shards
from tests.support.faults.disk import Crash
from tests.support.faults.faulty_bucket import FaultyBucket
from tests.support.object_tables import another_handle, in_memory
from tests.support.small_table import publish, score_into

pytestmark = pytest.mark.slow

KEY = "shaped by this"
OPTIONS = ScoreOptions(rows_per_shard=240, rows_per_group=240)
N_SHARDS = len(plan_shards(60, 40, OPTIONS))
N_VIEWS = 2
"""Small files that a publish uploads beside the shards."""
PER_SHARD = ["read", "upload", "write"]
"""Is it noted, the shard, its note."""


@pytest.fixture
def table(tmp_path, inputs):
    table = in_memory(tmp_path / "scratch", FaultyBucket)
    publish(table, "v1", inputs)
    return table


def publish_v2(staging, inputs, **extra):
    entry = score_into(staging, "plain", inputs, options=OPTIONS)
    return staging.publish({"plain": entry}, champion="plain", expected_rows=60 * 40, extra=extra)


def die(table, inputs, at, error=Crash):
    """A run that ends at its ``at``-th request after it began to score."""
    with suppress(Crash), table.lock(holder="first"):
        staging = table.stage("v2", shaped_by=KEY, notes={"runs": ["r1"]})
        table.store.bucket.arm(at, error=error, afterwards=True)
        with pytest.raises(error):
            publish_v2(staging, inputs)
    seen = table.store.bucket.seen
    table.store.bucket.at = 0
    return seen


def resume(table, inputs):
    """Returns the requests of the next run from where it resumes."""
    with table.lock(holder="second"):
        table.clean(keep_unfinished=True)
        staging = table.resume(KEY)
        assert staging.version == "v2"
        table.clean(keep=staging)
        table.store.bucket.arm(1000, error=Crash, afterwards=False)
        publish_v2(staging, inputs, attempt=2)
        table.store.bucket.at = 0
    assert table.current().version == "v2"
    assert table.verify().ok
    assert table.resume(KEY) is None
    assert not table.store.bucket.sizes("staging")
    return table.store.bucket.seen


@pytest.mark.parametrize("error", [Crash, RecobatchError], ids=["died", "the store was away"])
@pytest.mark.parametrize("same", [True, False], ids=["same machine", "another machine"])
def test_what_was_uploaded_is_not_uploaded_again(table, inputs, tmp_path, error, same):
    assert die(table, inputs, 3 * len(PER_SHARD), error)[: 3 * len(PER_SHARD)] == PER_SHARD * 3
    (left,) = table.unfinished()
    assert (left.version, left.shaped_by, left.notes, left.finished) == ("v2", KEY, {"runs": ["r1"]}, 3)
    at = table if same else another_handle(table, tmp_path / "elsewhere")
    if not same:
        table.store.bucket.write("lock.json", b"{}", over=table.store.bucket.read("lock.json")[1])
    assert resume(at, inputs).count("upload") == N_SHARDS - 3 + N_VIEWS


def test_a_shard_that_was_uploaded_and_not_noted_is_kept_if_it_is_the_same(table, inputs):
    die(table, inputs, 2)
    assert len(table.store.bucket.sizes("versions/v2")) == 1
    assert resume(table, inputs).count("upload") == N_SHARDS + N_VIEWS, "one of them finds that it is there"


def test_a_shard_that_was_replaced_meanwhile_is_not_taken_for_ours(table, inputs):
    die(table, inputs, 3 * len(PER_SHARD))
    bucket = table.store.bucket
    name = next(name for name in bucket.sizes("versions/v2"))
    content, etag = bucket.read(f"versions/v2/{name}")
    bucket.write(f"versions/v2/{name}", bytes([content[0] ^ 1, *content[1:]]), over=etag)
    with table.lock(holder="second"), pytest.raises(RecobatchError, match=r"found other content under .*--fresh"):
        publish_v2(table.resume(KEY), inputs)
    assert table.current().version == "v1"


def test_a_shard_that_is_gone_is_written_again(table, inputs):
    die(table, inputs, 3 * len(PER_SHARD))
    bucket = table.store.bucket
    bucket.delete([f"versions/v2/{next(iter(bucket.sizes('versions/v2')))}"])
    assert resume(table, inputs).count("upload") == N_SHARDS - 2 + N_VIEWS


def test_a_shard_that_goes_before_the_publish_is_missed(table, inputs):
    with table.lock(holder="first"):
        staging = table.stage("v2", shaped_by=KEY)
        entry = score_into(staging, "plain", inputs, options=OPTIONS)
        bucket = table.store.bucket
        bucket.delete([f"versions/v2/{next(iter(bucket.sizes('versions/v2')))}"])
        with pytest.raises(RecobatchError, match="found no readable parquet file"):
            staging.publish({"plain": entry}, champion="plain", expected_rows=2400)
    assert table.current().version == "v1"


def test_a_manifest_that_nobody_was_pointed_at_is_replaced(table, inputs):
    with table.lock(holder="first"):
        staging = table.stage("v2", shaped_by=KEY)
        table.store.bucket.write("versions/v2/manifest.json", b"of a dead run", over=None)
        publish_v2(staging, inputs, attempt=2)
    assert table.current().manifest.extra == {"attempt": 2}
    assert table.verify().ok


def test_a_fresh_run_forgets_it(table, inputs):
    die(table, inputs, 3 * len(PER_SHARD))
    with table.lock(holder="second"):
        removed = [str(name).rpartition("/")[2] for name in table.clean()]
        assert [name.startswith((".staging-v2", "v2")) for name in removed] == [True, True]
        assert table.store.bucket.children("versions")[0] == ["v1"]
        assert not table.store.bucket.sizes("staging")
        assert table.resume(KEY) is None


def test_what_a_gate_refuses_is_gone_at_once(table, inputs):
    with table.lock(holder="first"):
        staging = table.stage("v2", shaped_by=KEY)
        score_into(staging, "plain", inputs, options=OPTIONS)
        staging.discard()
        assert not staging.path.exists()
    assert table.store.bucket.children("versions")[0] == ["v1"]
    assert not table.store.bucket.sizes("staging")
