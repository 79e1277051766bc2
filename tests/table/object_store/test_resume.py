"""A run that died while it uploaded, and the one that goes on with it."""

from contextlib import suppress

import pytest

from recobatch.errors import RecobatchError
from recobatch.scoring.predictions import ScoreOptions, plan_shards
from recobatch.table import keep_report
from tests.support.faults.disk import Crash
from tests.support.faults.faulty_bucket import FaultyBucket
from tests.support.object_tables import in_memory
from tests.support.small_table import publish, score_into

KEY = "shaped by this"
OPTIONS = ScoreOptions(rows_per_shard=240, rows_per_group=240)
N_SHARDS = len(plan_shards(60, 40, OPTIONS))


@pytest.fixture
def table(tmp_path, inputs):
    table = in_memory(tmp_path / "scratch", FaultyBucket)
    publish(table, "v1", inputs)
    return table


def publish_v2(staging, inputs, **extra):
    entry = score_into(staging, "plain", inputs, options=OPTIONS)
    for report in entry.shards:
        keep_report(staging.path, report)
    return staging.publish({"plain": entry}, champion="plain", expected_rows=60 * 40, extra=extra)


def die_while_publishing(table, inputs, at, error=Crash):
    """A run that ends at its ``at``-th request of the publish itself."""
    with suppress(Crash), table.lock(holder="first"):
        staging = table.stage("v2", shaped_by=KEY)
        table.store.bucket.arm(at, error=error, afterwards=True)
        with pytest.raises(error):
            publish_v2(staging, inputs)
    seen = table.store.bucket.seen
    table.store.bucket.at = 0
    return seen


@pytest.mark.parametrize("error", [Crash, RecobatchError], ids=["died", "the store was away"])
def test_what_was_uploaded_is_not_uploaded_again(table, inputs, error):
    die_while_publishing(table, inputs, 3, error)
    there = set(table.store.bucket.sizes("versions/v2"))
    assert len(there) == 2 if error is Crash else len(there) >= 2, "one request to look what is there, and two files"
    with table.lock(holder="second"):
        table.clean(keep_unfinished=True)
        staging = table.resume(KEY)
        assert staging.version == "v2"
        table.clean(keep=staging)
        assert set(table.store.bucket.sizes("versions/v2")) == there
        table.store.bucket.arm(1000, error=Crash, afterwards=False)
        publish_v2(staging, inputs)
        assert table.store.bucket.seen.count("upload") == N_SHARDS - len(there)
        table.store.bucket.at = 0
    assert table.current().version == "v2"
    assert table.verify().ok
    assert table.resume(KEY) is None


def test_a_manifest_that_nobody_was_pointed_at_is_replaced(table, inputs):
    seen = die_while_publishing(table, inputs, N_SHARDS + 3)
    assert seen[N_SHARDS + 1 : N_SHARDS + 3] == ["read", "write"]
    assert table.store.bucket.read("versions/v2/manifest.json") is not None
    assert table.current().version == "v1"
    with table.lock(holder="second"):
        publish_v2(table.resume(KEY), inputs, attempt=2)
    assert table.current().manifest.extra == {"attempt": 2}
    assert table.verify().ok


def test_other_content_under_a_name_of_ours_is_refused(table, inputs):
    die_while_publishing(table, inputs, 3)
    name = next(name for name in table.store.bucket.sizes("versions/v2"))
    found = table.store.bucket.read(f"versions/v2/{name}")
    table.store.bucket.write(f"versions/v2/{name}", b"other", over=found[1])
    with table.lock(holder="second"), pytest.raises(RecobatchError, match=r"found other content under .*--fresh"):
        publish_v2(table.resume(KEY), inputs)
    assert table.current().version == "v1"


def test_a_fresh_run_forgets_it(table, inputs):
    die_while_publishing(table, inputs, 3)
    with table.lock(holder="second"):
        removed = table.clean()
        assert [name.rpartition("/")[2].startswith((".staging-v2", "v2")) for name in map(str, removed)] == [True, True]
        assert table.store.bucket.children("versions")[0] == ["v1"]
        assert table.resume(KEY) is None
