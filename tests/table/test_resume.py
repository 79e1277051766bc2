"""A run that died is gone on with: whole shards are used again, the rest redone, and the result is the same."""

import pytest

from recobatch.errors import RecobatchError
from recobatch.scoring.predictions import ScoreOptions, plan_shards, score_shard
from recobatch.table import ModelEntry, open_table
from recobatch.table.resume import kept_report
from tests.support.small_table import publish

OPTIONS = ScoreOptions(rows_per_shard=700, rows_per_group=40)


def score(staging, inputs, *, die_after=99):
    """Score as the flow does: use what is kept, note what is finished; returns the entry and what was redone."""
    loaded, redone, reports = inputs.load(), [], []
    how = {"metadata": {"version": staging.version}, "options": OPTIONS}
    for number, users in enumerate(plan_shards(60, 40, OPTIONS)):
        if number == die_after:
            return None, redone
        path = staging.shard_path("plain", number)
        report, is_reused = staging.files.once(path, lambda out, users=users: score_shard(inputs, users, out, **how))
        reports.append(report)
        redone += [] if is_reused else [number]
    fingerprints = loaded.model.fingerprint, loaded.users.fingerprint, loaded.items.fingerprint
    return ModelEntry("plain", "run", *fingerprints, tuple(reports)), redone


@pytest.fixture
def dead(table, inputs):
    """A run with key "abc" died after two of its four shards, in the middle of the third."""
    staging = table.stage("v1", shaped_by="abc")
    score(staging, inputs, die_after=2)
    (staging.shard_path("plain", 2).with_name(".tmp-part-00002-v1.parquet-12ab")).write_bytes(b"PAR1")
    return staging


def test_the_next_run_does_only_the_rest(table, inputs, dead):
    with table.lock(holder="next"):
        staging = table.resume("abc")
        assert (staging.path, staging.version) == (dead.path, "v1")
        assert table.clean(keep=staging) == []
        entry, redone = score(staging, inputs)
        assert redone == [2, 3]
        staging.publish({"plain": entry}, champion="plain", expected_rows=2400)
    assert table.verify().ok
    assert table.clean() == []


def test_resumed_predictions_are_those_of_an_undisturbed_run(table, inputs, dead, tmp_path):
    entry, _ = score(table.resume("abc"), inputs)
    other = open_table(tmp_path / "undisturbed")
    undisturbed, redone = score(other.stage("v1"), inputs)
    assert redone == [0, 1, 2, 3]
    assert [shard.sha256 for shard in entry.shards] == [shard.sha256 for shard in undisturbed.shards]
    assert [shard.total for shard in entry.shards] == [shard.total for shard in undisturbed.shards]


def test_a_shard_that_was_damaged_meanwhile_is_redone(table, inputs, dead):
    part = dead.shard_path("plain", 1)
    content = bytearray(part.read_bytes())
    content[100] ^= 1
    part.write_bytes(content)
    entry, redone = score(table.resume("abc"), inputs)
    assert redone == [1, 2, 3]
    dead.shard_path("plain", 0).write_bytes(b"short")
    assert kept_report(table.resume("abc").path, dead.shard_path("plain", 0)) is None
    assert entry is not None


def test_other_inputs_share_nothing(table, dead):
    assert table.resume("abd") is None
    assert table.resume("") is None
    assert table.clean() == [dead.path]
    assert table.resume("abc") is None


def test_a_run_without_a_key_is_not_gone_on_with(table):
    table.stage("v1")
    assert table.resume("") is None


def test_nothing_but_the_finished_files_and_their_notes_is_taken_over(table, inputs, dead):
    """The run died while it published: what it had begun to write there must not reach the next snapshot."""
    for name in ("manifest.json", "titles.parquet", "table/model=plain/part-00003-v1.parquet"):
        (dead.path / name).write_text("of a dead run")
    (dead.path / "champion").symlink_to("table/model=plain")
    (dead.path / "reports" / "torn.json").write_text('{"path": ')
    staging = table.resume("abc")
    there = {path.relative_to(dead.path).as_posix() for path in dead.path.rglob("*") if path.suffix != ".json"}
    assert there == {"shaped-by", "reports", "table", "table/model=plain"} | {
        f"table/model=plain/part-0000{number}-v1.parquet" for number in (0, 1)
    }
    entry, redone = score(staging, inputs)
    assert redone == [2, 3]
    with table.lock(holder="next"):
        staging.publish({"plain": entry}, champion="plain", expected_rows=2400)
    assert table.verify().ok


def test_a_disk_that_is_full_at_the_manifest_costs_no_shard(table, inputs, dead):
    entry, _ = score(staging := table.resume("abc"), inputs)
    (dead.path / "manifest.json").mkdir()
    with table.lock(holder="next"), pytest.raises(RecobatchError, match="refused to finish the snapshot"):
        staging.publish({"plain": entry}, champion="plain", expected_rows=2400)
    (dead.path / "manifest.json").rmdir()
    assert score(table.resume("abc"), inputs)[1] == []


def test_notes_reach_the_next_run_and_survive_the_first_clean(table, inputs):
    staging = table.stage("v1", shaped_by="abc", notes={"runs": ["r1"]})
    litter = table.stage("v2").path
    score(staging, inputs, die_after=3)
    with table.lock(holder="next"):
        assert table.clean(keep_unfinished=True) == [litter]
        (found,) = table.unfinished()
        assert (found.version, found.shaped_by, found.notes, found.finished) == ("v1", "abc", {"runs": ["r1"]}, 3)
        assert table.clean() == [staging.path]
    assert table.unfinished() == []


def test_the_one_with_most_finished_is_chosen(table, inputs, dead):
    table.stage("v2", shaped_by="abc")
    (table.stage("v3", shaped_by="abc").path / "shaped-by").write_text("{")
    assert table.resume("abc").version == "v1"
    with table.lock(holder="next"):
        assert len(table.clean(keep=table.resume("abc"))) == 2


def test_a_version_that_was_published_is_not_gone_on_with(table, inputs):
    publish(table, "v1", inputs)
    staging = table.stage("v2", shaped_by="abc")
    staging.path.rename(table.root / ".staging-v1-0000")
    (table.root / ".staging-v1-0000" / "shaped-by").write_text('{"version": "v1", "shaped_by": "abc"}')
    assert table.resume("abc") is None


def test_no_table_nothing_to_resume(table):
    assert table.resume("abc") is None
    assert not table.root.exists()
