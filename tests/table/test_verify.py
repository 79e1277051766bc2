"""Verification finds whatever differs from what was published, down to one pair."""

import hashlib
import json
import re
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.scoring.predictions import ScoreOptions
from recobatch.table import FileEntry, open_table
from tests.support.small_table import make_ids, make_model, publish, write_inputs

pytestmark = pytest.mark.slow


def part_of(table, kind="table", number=0):
    return sorted((table.root / "current" / kind / "model=plain").glob("*.parquet"))[number]


def test_a_whole_snapshot_passes(published):
    report = published.verify()
    assert report.ok
    assert (report.version, report.files, report.rows) == ("v2", 9, 4800)
    files = [path for path in (published.root / "versions" / "v2").rglob("*.*") if path.name != "manifest.json"]
    assert report.bytes == sum(path.stat().st_size for path in files if path.is_file())
    assert published.verify("v1").version == "v1"


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda part: part.write_bytes(part.read_bytes()[:-1]), r"found [\d,]+ bytes, expected"),
    (lambda part: part.write_bytes(part.read_bytes().replace(b"PAR1", b"PAR2", 1)), "found sha256"),
    (lambda part: part.unlink(), "found no such file"),
    (lambda part: part.rename(part.with_name("renamed.parquet")), "found a file that the manifest does not list"),
    (lambda part: (part.parent / "stray.parquet").touch(), "found a file that the manifest does not list"),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["table", "top"])
def test_a_spoilt_file_is_found(published, kind, spoil, words):
    spoil(part_of(published, kind))
    report = published.verify()
    assert not report.ok
    assert any(kind in problem for problem in report.problems)

    assert any(re.search(words, problem) for problem in report.problems)


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda part: part.write_bytes(part.read_bytes()[:-1]), r"part-00000-v2.parquet: found [\d,]+ bytes, expected"),
    (lambda part: part.unlink(), "part-00000-v2.parquet: found no such file"),
    (lambda part: (part.parent / "stray.parquet").touch(), "stray.parquet: found a file that the manifest does not"),
])  # fmt: skip
def test_damage_shows_by_names_and_sizes_alone(published, monkeypatch, spoil, words):
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert published.damage() == []
    spoil(part_of(published))
    (problem,) = published.damage()
    assert re.search(words, problem)


def test_a_champion_link_that_was_moved_is_found(published):
    link = published.root / "versions" / "v2" / "champion"
    link.unlink()
    link.symlink_to("table/model=bias")
    assert published.verify().problems == ("champion: found a link to table/model=bias, expected table/model=plain",)


def test_the_link_to_its_lists_is_checked_where_there_is_one(published):
    link = published.root / "versions" / "v2" / "champion-top"
    link.unlink()
    assert published.verify().problems == ()  # as in versions of earlier releases
    link.symlink_to("top/model=bias")
    assert published.verify().problems == ("champion-top: found a link to top/model=bias, expected top/model=plain",)


def forge(table, number, change, kind="table"):
    """Replace a part and make the manifest agree with it, so that only its rows can tell."""
    part, snapshot = part_of(table, kind, number), table.current()
    rows = change(pq.read_table(part))
    pq.write_table(rows, part, row_group_size=40)
    name = part.relative_to(table.root / "current").as_posix()
    entry = FileEntry(name, rows.num_rows, part.stat().st_size, hashlib.sha256(part.read_bytes()).hexdigest())
    files = tuple(entry if file.path == name else file for file in snapshot.manifest.files)
    models = snapshot.manifest.models
    total = sum(file.rows for file in files if file.path.startswith("table/model=plain"))
    models = models | {"plain": replace(models["plain"], rows=total)}
    (snapshot.path / "manifest.json").write_bytes(replace(snapshot.manifest, files=files, models=models).dump())


def swap(rows, a, b):
    order = np.arange(rows.num_rows)
    order[[a, b]] = order[[b, a]]
    return rows.take(pa.array(order))


def with_column(rows, name, values):
    return rows.set_column(rows.column_names.index(name), rows.schema.field(name), pa.array(values))


@pytest.mark.parametrize(("number", "change", "words"), [
    (1, lambda rows: rows.slice(0, rows.num_rows - 1), "without 40 rows each|with other items|rows"),
    (1, lambda rows: pa.concat_tables([rows.slice(0, 1), rows]), "all items once"),
    (1, lambda rows: swap(rows, 3, 4), "with other items"),
    (1, lambda rows: swap(rows, 3, 43), "without 40 rows each"),
    (0, lambda rows: swap(rows, 3, 4), "with other items|not those of the model"),
    (0, lambda rows: rows.slice(40), "users that are not those of the model's vocabulary"),
    (3, lambda rows: rows.slice(0, rows.num_rows - 40), "users that are not those of the model's vocabulary"),
    (3, lambda rows: rows.slice(0, rows.num_rows - 1), "last user with too few items"),
    (1, lambda rows: with_column(rows, "user_id", rows["user_id"].to_numpy() + 1), "not those of the model"),
    (1, lambda rows: with_column(rows, "item_id", rows["item_id"].to_numpy() + 1), "with other items"),
    (1, lambda rows: pa.concat_tables([rows.slice(40, 40), rows.slice(40)]), "not those of the model"),
])  # fmt: skip
def test_a_forged_pair_is_found(table, inputs, number, change, words):
    publish(table, "v1", inputs, options=ScoreOptions(rows_per_shard=700, rows_per_group=100))
    assert table.verify().ok
    forge(table, number, change)
    problems = table.verify().problems
    assert len(problems) >= 1

    assert re.search(words, problems[0])


def test_a_changed_column_is_found(table, inputs):
    publish(table, "v1", inputs, options=ScoreOptions(rows_per_shard=700, rows_per_group=100))
    forge(table, 1, lambda rows: rows.rename_columns(["user_id", "item_id", "score", "rated"]))
    assert "found columns" in table.verify().problems[0]


@pytest.mark.parametrize(("column", "moved"), [("lower_90", 1.001), ("upper_90", 0.999)])
def test_a_prediction_outside_of_its_interval_is_found(published, column, moved):
    def change(rows):
        values = rows[column].to_numpy().copy()
        values[3] = rows["prediction"][3].as_py() * moved
        return with_column(rows, column, values)

    forge(published, 0, change, kind="top")
    (problem,) = published.verify().problems
    assert problem.endswith("part-00000-v2.parquet: found 1 predictions outside of their intervals, expected none")


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (8, 3), (9, 700)])
@pytest.mark.parametrize("text", [True, False])
def test_any_shape_and_any_kind_of_id_passes(tmp_path, shape, text):
    ids = [make_ids(n, text=text) for n in shape]
    inputs = write_inputs(tmp_path / "in", make_model(*shape), users=ids[0], items=ids[1])
    table = open_table(tmp_path / "table")
    publish(table, "v1", inputs, options=ScoreOptions(rows_per_shard=20, rows_per_group=300), top=3)
    assert table.verify().problems == ()


def test_manifest_is_plain_json(published):
    path = published.current().path / "manifest.json"
    content = json.loads(path.read_text())
    assert content["format"] == 1
    assert content["models"]["plain"] == asdict(published.current().manifest.models["plain"])
