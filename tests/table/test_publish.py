"""What a publish leaves on the disk, and what it refuses."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.errors import BadSettings, BadTable, RecobatchError
from recobatch.scoring.predictions import ScoreOptions
from recobatch.table import TableOptions, open_table
from tests.support.small_table import publish, score_into

pytestmark = pytest.mark.slow


def names_under(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


def test_layout_is_what_consumers_rely_on(published):
    root = published.root
    assert (root / "current").readlink() == Path("versions/v2")
    assert (root / "current" / "champion").readlink() == Path("table/model=plain")
    assert (root / "current" / "champion-top").readlink() == Path("top/model=plain")
    assert names_under(root / "versions" / "v2") == {
        "manifest.json",
        "champion",
        "champion-top",
        "changes/part-00000-v2.parquet",
        "views.sql",
        "views.spark.sql",
        "users.parquet",
        "items.parquet",
        *(f"{kind}/model={model}/part-00000-v2.parquet" for kind in ("table", "top") for model in ("bias", "plain")),
    }
    assert {path.name for path in root.iterdir() if not path.name.startswith(".")} == {
        "versions",
        "current",
        "current.json",
    }
    assert {path.name for path in root.iterdir() if path.name.startswith(".")} == {".lock", ".recobatch-table"}
    pointer = json.loads((root / "current.json").read_text())
    expected = {"version": "v2", "champion": "plain", "table": "versions/v2/table/model=plain", "sequence": 2}
    assert pointer == pointer | expected
    assert pointer["snapshots"] == {
        "v1": {"sequence": 1, "parent": None, "inputs": None},
        "v2": {"sequence": 2, "parent": "v1", "inputs": None},
    }
    assert set(pointer) == {*expected, "snapshots", "rolled_back", "holder", "written", "token"}
    assert (
        pq.read_table(root / pointer["table"]).num_rows == pq.read_table(root / "current" / "champion").num_rows == 2400
    )


@pytest.mark.parametrize(("umask", "unwanted"), [(0o022, 0o022), (0o077, 0o077)])
def test_published_files_follow_the_umask(tmp_path, inputs, umask, unwanted):
    before = os.umask(umask)
    try:
        publish(table := open_table(tmp_path / "predictions"), "v1", inputs)
    finally:
        os.umask(before)
    for path in table.root.rglob("*"):
        mode = path.lstat().st_mode
        if not path.is_symlink():
            assert mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~unwanted, path


def test_every_file_names_its_version_model_and_run(published):
    for part in (published.root / "versions").rglob("model=*/*.parquet"):
        metadata = pq.read_schema(part).metadata
        version, model = part.relative_to(published.root / "versions").parts[0], part.parent.name.removeprefix("model=")
        expected = {"version": version, "model": model, "mlflow_run_id": f"run-of-{model}"}
        assert {key: metadata[key.encode()].decode() for key in expected} == expected


def test_users_and_items_name_the_champion_and_its_run(published):
    for name in ("users.parquet", "items.parquet"):
        metadata = pq.read_schema(published.current().path / name).metadata
        said = {key: metadata[key].decode() for key in (b"version", b"model", b"mlflow_run_id")}
        assert said == {b"version": "v2", b"model": "plain", b"mlflow_run_id": "run-of-plain"}


def test_manifest_tells_where_everything_came_from(published, inputs):
    manifest, loaded = published.current().manifest, inputs.load()
    assert (manifest.version, manifest.sequence, manifest.champion) == ("v2", 2, "plain")
    assert (manifest.parent, published.snapshot("v1").manifest.parent) == ("v1", None)
    assert abs(datetime.fromisoformat(manifest.created) - datetime.now(UTC)).total_seconds() < 600
    assert [(column.name, column.type) for column in manifest.columns] == [
        ("user_id", "int64"), ("item_id", "int64"), ("prediction", "float"), ("rated", "bool"),
    ]  # fmt: skip
    facts = manifest.models["bias"]
    assert facts.mlflow_run_id == "run-of-bias"
    assert facts.factors_fingerprint == loaded.model.fingerprint
    assert (facts.users_fingerprint, facts.items_fingerprint) == (loaded.users.fingerprint, loaded.items.fingerprint)
    predictions = pq.read_table(published.current().parts("table", "bias"))["prediction"].to_numpy()
    assert (facts.rows, facts.non_finite) == (2400, 0)
    assert facts.mean_prediction == pytest.approx(predictions.mean(), abs=1e-4)
    assert facts.sd_prediction == pytest.approx(predictions.std(), abs=1e-3)
    assert (facts.min_prediction, facts.max_prediction) == (predictions.min(), predictions.max())
    assert manifest.extra == {"batch_id": "v2"}
    assert len(manifest.files) == 9


def test_snapshot_finds_its_parts(published):
    snapshot = published.current()
    assert snapshot.rows == {"bias": 2400, "plain": 2400}
    assert pq.read_table(snapshot.parts("table")).num_rows == 2400
    assert pq.read_table(snapshot.parts("top", "bias")).num_rows == 300
    assert snapshot.titles is None


def test_titles_lie_beside_the_manifest(table, inputs):
    titles = pa.table({"item_id": pa.array([10, 13]), "title": ["Heat", "Alien"]})
    snapshot = publish(table, "v1", inputs, titles=titles)
    assert pq.read_table(snapshot.titles).to_pylist() == titles.to_pylist()
    assert table.verify().ok
    staging = table.stage("v2")
    entries, wrong = {"plain": score_into(staging, "plain", inputs)}, titles.rename_columns(["id", "name"])
    with pytest.raises(BadTable, match="expected item_id and title"):
        staging.publish(entries, champion="plain", expected_rows=2400, titles=wrong)


def test_nothing_published_yet(table):
    assert table.current() is None
    assert table.snapshots() == []
    assert not table.root.exists(), "looking changes nothing"
    with pytest.raises(BadTable, match=r"found no published snapshot, .*recobatch run"):
        table.verify()


def test_same_inputs_same_bytes(tmp_path, inputs):
    for name in ("a", "b"):
        publish(open_table(tmp_path / name), "v1", inputs, top=3)
    files = [
        {e.path: e.sha256 for e in open_table(tmp_path / name).current().manifest.files if e.path.endswith("parquet")}
        for name in ("a", "b")
    ]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    "version", ["", "..", "a/b", "../up", ".hidden", "a..b", "x" * 129, "a b", "a\nb", "-v", "a\x00b"]
)
def test_versions_that_are_no_names_are_refused(table, version):
    with pytest.raises(BadSettings, match=r"version: found .* without '\.\.'"):
        table.stage(version)
    with pytest.raises(BadSettings, match="version: found"):
        table.snapshot(version)
    assert not table.root.exists()


def test_models_that_are_no_names_are_refused(table):
    with pytest.raises(BadSettings, match=r"model: found '\.\./x'"):
        table.stage("v1").shard_path("../x", 0)


def test_a_version_is_published_once(published):
    with pytest.raises(RecobatchError, match="found version v1 there already"):
        published.stage("v1")


def test_options_are_checked():
    assert TableOptions().keep == 3
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        TableOptions(keep=0)


# What a publish refuses. Each time the table that stood before still stands.


@pytest.fixture
def staged(published, inputs):
    staging = published.stage("v3")
    options = ScoreOptions(rows_per_shard=700, rows_per_group=40)
    return staging, {"plain": score_into(staging, "plain", inputs, options=options, top=5)}


def refuse(
    published, staged, words, *, error=RecobatchError, champion="plain", expected_rows=2400, change=lambda _: {}
):
    staging, entries = staged
    entries["plain"] = replace(entries["plain"], **change(entries["plain"]))
    with pytest.raises(error, match=words):
        staging.publish(entries, champion=champion, expected_rows=expected_rows)
    assert published.current().version == "v2"
    assert published.verify().ok
    assert published.verify("v1").ok


def test_staged_as_expected_is_published(published, staged):
    staging, entries = staged
    assert len(entries["plain"].shards) > 2
    assert staging.publish(entries, champion="plain", expected_rows=2400).sequence == 3
    assert published.verify().ok


def test_refuses_a_missing_row(published, staged):
    refuse(published, staged, r"table/model=plain: found 2,400 rows, expected 2,401: one for every", expected_rows=2401)


def test_refuses_a_missing_shard(published, staged):
    refuse(published, staged, "found a shard that begins at user 16, expected one that begins at user 0",
           change=lambda entry: {"shards": entry.shards[1:]})  # fmt: skip


def test_refuses_shards_out_of_order(published, staged):
    refuse(published, staged, "begins at user 48, expected", change=lambda entry: {"shards": entry.shards[::-1]})


def test_refuses_a_champion_that_was_not_scored(published, staged):
    refuse(published, staged, "champion: found 'other', expected one of plain", error=BadSettings, champion="other")


def test_refuses_a_file_that_lost_a_byte(published, staged):
    part = staged[1]["plain"].shards[1].path
    part.write_bytes(part.read_bytes()[:-1])
    refuse(published, staged, r"part-00001-v3\.parquet: found no readable parquet file")


def test_refuses_a_file_that_grew(published, staged):
    part = staged[1]["plain"].shards[1].path
    part.write_bytes(b"PAR1" + part.read_bytes())
    refuse(published, staged, "part-00001")


def test_refuses_another_shard_under_the_name(published, staged):
    shards = staged[1]["plain"].shards
    shards[1].path.write_bytes(shards[-1].path.read_bytes())
    refuse(published, staged, r"part-00001-v3\.parquet: found \d+ rows in .* expected 640 rows")


def test_refuses_a_file_that_is_gone(published, staged):
    staged[1]["plain"].top[0].path.unlink()
    refuse(published, staged, r"top/model=plain/part-00000-v3\.parquet: found no readable parquet file")


def test_refuses_a_file_nobody_accounts_for(published, staged):
    staged[0].shard_path("plain", 99).write_bytes(b"?")
    refuse(published, staged, "part-00099-v3.parquet: found a file that no report accounts for")


def test_refuses_a_file_elsewhere(published, staged, tmp_path):
    def move(entry):
        return {"shards": (replace(entry.shards[0], path=tmp_path / "x"), *entry.shards[1:])}

    refuse(published, staged, "found a file outside the staging folder", change=move)


def test_discarded_staging_leaves_nothing(published, staged):
    staged[0].discard()
    assert not list(published.root.glob(".staging-*"))
