"""A table on a real S3 server: what consumers find there, and what the commands tell of it."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from flows.cli.failures import FailedCheck
from flows.cli.lookup import print_rollback, print_top, print_verified
from recobatch.errors import BadSettings, BadTable, RecobatchError
from recobatch.scoring.predictions import ScoreOptions, score_block
from recobatch.scoring.top import best_items
from recobatch.storage import bucket as bucket_module
from recobatch.table import open_table, pieces, published_items, published_users
from recobatch.table.export import export
from tests.support.small_table import make_ids, make_model, publish, write_inputs

TITLES = pa.table({"item_id": make_ids(40).ids, "title": [f"Film {n}" for n in range(40)]})


@pytest.fixture
def table(s3, tmp_path):
    return open_table(s3.uri, root=tmp_path)


@pytest.fixture
def two(table, inputs):
    """Two snapshots of two models each: v1, v2."""
    for version in ("v1", "v2"):
        publish(table, version, inputs, names=("bias", "plain"), top=5, titles=TITLES)
    return table


def test_what_a_consumer_finds(two, s3):
    pointer = s3.pointer()
    assert (pointer["version"], pointer["champion"]) == ("v2", "plain")
    assert pointer["table"] == "versions/v2/table/model=plain"
    rows = s3.read_table()
    assert rows.column_names == ["user_id", "item_id", "prediction", "rated"]
    expected = score_block(make_model(60, 40), slice(0, 60))
    assert np.array_equal(rows["prediction"].to_numpy().reshape(60, 40), expected)
    assert s3.names() == sorted([
        ".recobatch-table", "current.json", "lock.json",
        "versions/v2/changes/part-00000-v2.parquet",
        *(
            f"versions/{version}/{name}"
            for version in ("v1", "v2")
            for name in (
                "manifest.json", "titles.parquet", "users.parquet", "items.parquet", "views.sql", "views.spark.sql",
                *(f"{kind}/model={model}/part-00000-{version}.parquet"
                  for kind in ("table", "top") for model in ("bias", "plain")),
            )
        ),
    ])  # fmt: skip


@pytest.mark.long
def test_files_too_large_for_one_request_are_published_like_others(two, s3, inputs, monkeypatch):
    small = s3.read_table()
    monkeypatch.setattr(bucket_module, "_SINGLE", 1)
    publish(two, "v3", inputs, names=("bias", "plain"), top=5, titles=TITLES)
    assert s3.read_table().equals(small)
    assert two.verify().ok
    assert not s3.names_below("staging/")
    listed = {entry.path for entry in two.current().manifest.files}
    assert {name.removeprefix("versions/v3/") for name in s3.names_below("versions/v3/")} == {*listed, "manifest.json"}


def test_the_same_bytes_as_in_a_folder(two, s3, inputs, tmp_path):
    folder = open_table(tmp_path / "folder")
    ours = publish(folder, "v2", inputs, names=("bias", "plain"), top=5, titles=TITLES)
    theirs = two.current()
    kept = ("table/", "top/", "titles")  # a first version has no changes, and views name their place
    assert [file for file in theirs.manifest.files if file.path.startswith(kept)] == [
        file for file in ours.manifest.files if file.path.startswith(kept)
    ]
    assert theirs.manifest.models == ours.manifest.models
    assert (theirs.version, theirs.champion, theirs.rows, theirs.sequence) == ("v2", "plain", ours.rows, 2)
    assert published_users(theirs).equals(published_users(ours))
    assert published_items(theirs).equals(published_items(ours))


def test_nothing_is_left_on_this_machine(two, tmp_path):
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_every_byte_and_pair_is_verified(two):
    report = two.verify()
    assert report.ok
    assert (report.version, report.rows, report.files) == ("v2", 2 * 60 * 40, 10)
    assert two.verify("v1").ok


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda content: content[:-1], r"found [\d,]+ bytes, expected [\d,]+"),
        (lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:], r"found sha256 \w+…, expected"),
        (None, r"part-00000-v2.parquet: found no such file"),
    ],
    ids=["one byte short", "one bit changed", "gone"],
)
def test_damage_is_told(two, s3, damage, told):
    name = "versions/v2/table/model=plain/part-00000-v2.parquet"
    s3.put(name, damage(s3.read(name))) if damage else s3.delete(name)
    report = two.verify()
    assert not report.ok
    assert len(report.problems) == 1
    with pytest.raises(FailedCheck, match=told):
        print_verified(s3.uri, None, as_json=False)


def test_a_damaged_table_is_known_for_one_when_a_batch_is_compared_with_it(two, s3):
    for ask, name in ((published_users, "users.parquet"), (published_items, "items.parquet")):
        s3.delete(f"versions/v2/{name}")
        with pytest.raises(BadTable, match=f"found no such object while trying to open versions/v2/{name}"):
            ask(two.current())


def test_a_stray_object_is_told(two, s3):
    s3.put("versions/v2/table/model=plain/extra.parquet", b"PAR1")
    assert two.verify().problems == ("table/model=plain/extra.parquet: found a file that the manifest does not list",)


def test_a_manifest_edited_by_hand(two, s3):
    name = "versions/v2/manifest.json"
    s3.put(name, s3.read(name).replace(b'"champion": "plain"', b'"champion": "bias"'))
    with pytest.raises(BadTable, match=r"s3://.*/versions/v2/manifest.json: found a manifest that differs from its"):
        two.current()
    s3.put(name, s3.read("versions/v1/manifest.json"))
    with pytest.raises(BadTable, match=r"found the manifest of version v1, expected that of v2"):
        two.current()
    s3.delete(name)
    with pytest.raises(BadTable, match=r"found no manifest, expected one"):
        two.verify()
    assert [snapshot.version for snapshot in two.snapshots()] == ["v1"]


def test_a_pointer_that_is_not_ours(two, s3):
    s3.put("current.json", b'{"version": "v9"}')
    with pytest.raises(BadTable, match=r"current.json: found no readable pointer .*restore that object"):
        two.current()


def test_commands(two, s3, inputs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    publish(open_table(tmp_path / "folder"), "v2", inputs, names=("bias", "plain"), top=5, titles=TITLES)
    print_top(s3.uri, "31", k=4, unseen_only=True, model=None, as_json=True)
    there = json.loads(capsys.readouterr().out)["items"]
    assert there == best_items(tmp_path / "folder", 31, k=4).to_pylist()
    assert there[0]["title"].startswith("Film")
    print_top(s3.uri, "31", k=4, unseen_only=True, model="bias", as_json=False)
    assert len(capsys.readouterr().out.splitlines()) == 4
    with pytest.raises(BadTable, match="found no model 'other', expected one of bias, plain"):
        print_top(s3.uri, "31", k=4, unseen_only=True, model="other", as_json=False)
    print_verified(s3.uri, None, as_json=False)
    assert "version v2 is whole: 4,800 predictions in 10 files" in capsys.readouterr().out
    print_rollback(s3.uri, None, as_json=False)
    assert "now at version v1" in capsys.readouterr().out
    assert s3.pointer()["version"] == "v1"


@pytest.mark.long
def test_an_export_reads_the_objects_and_resumes(two, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "_PIECE_ROWS", 100)
    options, inputs = ScoreOptions(rows_per_group=160), write_inputs(tmp_path / "in", make_model(60, 40))
    snapshot = publish(two, "v3", inputs, options=options)
    rows = pa.concat_tables(pq.read_table(part, partitioning=None) for part in snapshot.parts("table"))

    def stop(_rows):
        raise KeyboardInterrupt

    for name, read in (("out.parquet", pq.read_table), ("out.csv.gz", pyarrow.csv.read_csv)):
        with pytest.raises(KeyboardInterrupt):
            export(snapshot, "predictions", str(tmp_path / name), stop)
        resumed = []
        assert export(snapshot, "predictions", str(tmp_path / name), None, resumed.append) == rows.num_rows
        assert resumed == [160]
        assert read(tmp_path / name).cast(rows.schema).equals(rows)


def test_roll_back_and_forth(two, s3):
    assert two.rollback().version == "v1"
    assert s3.pointer()["version"] == "v1"
    assert [snapshot.version for snapshot in two.rolled_back()] == ["v2"]
    with pytest.raises(BadTable, match="found no snapshot older than v1"):
        two.rollback()
    assert two.rollback("v2").version == two.current().version == "v2"
    assert two.rolled_back() == []
    with pytest.raises(BadTable, match="found no version v7, expected one of v2, v1"):
        two.rollback("v7")
    s3.delete("versions/v1/titles.parquet")
    with pytest.raises(BadTable, match=r"versions/v1: found a damaged snapshot \(titles.parquet: found no such file"):
        two.rollback("v1")
    assert two.current().version == "v2"


def test_the_newest_are_kept_and_the_current_one_always(two, s3, inputs):
    two.rollback("v1")
    publish(two, "v3", inputs, keep=2)
    assert list(s3.pointer()["snapshots"]) == ["v1", "v3"], "what was rolled back goes first"
    assert [entry.version for entry in two.rolled_back()] == ["v2"]
    two.rollback("v1")
    publish(two, "v4", inputs, keep=1)
    assert list(s3.pointer()["snapshots"]) == ["v4"]
    assert {name.split("/")[1] for name in s3.names() if name.startswith("versions")} == {"v4"}
    assert two.current().sequence == 4
    with pytest.raises(BadSettings, match="found 0, expected at least 1"):
        two.retain(0)


def test_a_published_version_is_not_published_again(two):
    with pytest.raises(RecobatchError, match="found version v2 there already, expected a new version"):
        two.stage("v2")


def test_a_user_who_asks_before_anything_is_published(table, s3):
    assert table.current() is None
    assert table.snapshots() == []
    assert table.clean() == []
    for ask in (table.verify, table.rollback, table.snapshot):
        with pytest.raises(BadTable, match="found no published snapshot, expected one; publish with recobatch run"):
            ask()
    assert s3.names() == [], "asking leaves nothing"


def test_other_peoples_objects_are_left_alone(table, s3, inputs):
    s3.put("report.pdf", b"x")
    with pytest.raises(BadTable, match=r"found 1 entries that are not of a prediction table \(report.pdf\)"):
        publish(table, "v1", inputs)
    with pytest.raises(BadTable, match=r"report\.pdf"):
        table.current()
    assert s3.names() == ["report.pdf"]


def test_no_such_bucket(s3, tmp_path, inputs):
    table = open_table(f"s3://{s3.name}-other/x", root=tmp_path)
    for ask in (table.current, table.verify, lambda: publish(table, "v1", inputs)):
        with pytest.raises(BadTable, match=r"found no such bucket .*expected one that exists; make it"):
            ask()


def test_a_store_that_is_away(tmp_path, monkeypatch):
    monkeypatch.setattr(bucket_module, "_RETRIES", {"max_retries": 0})
    for name, value in {"ENDPOINT_URL": "http://127.0.0.1:9", "ALLOW_HTTP": "true", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    with pytest.raises(RecobatchError, match=r"did not read current.json .*check address, credentials") as told:
        open_table("s3://bucket/x", root=tmp_path).current()
    assert told.value.exit_code == 1
    assert "\n" not in str(told.value)
    assert "hush-hush" not in str(told.value)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("ftp://host/x", r"found 'ftp://host/x', expected a folder or one of s3://, gs://, az://"),
        ("s3:/bucket/x", r"found 's3:/bucket/x', expected a folder or one of s3://"),
        ("s3:///x", r"found 's3:///x', expected"),
        ("s3://key:hush@bucket/x", r"credentials and endpoint belong into the environment"),
        ("s3://bucket/x?token=hush", r"credentials and endpoint belong into the environment"),
    ],
)
def test_uris_that_cannot_be(where, told):
    with pytest.raises(BadSettings, match=told) as error:
        open_table(where)
    assert "hush" not in str(error.value)


def test_the_package_may_be_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "obstore.store", None)
    with pytest.raises(BadSettings, match=r"expected the package obstore .*install recobatch\[object-store\]"):
        open_table("s3://bucket/x")


def test_a_user_of_the_table_without_our_code(two, s3):
    """One user's best unseen items, by pyarrow alone."""
    rows = s3.read_table()
    mine = rows.filter(pc.and_(pc.equal(rows["user_id"], 31), pc.invert(rows["rated"])))
    best = mine.take(pc.sort_indices(mine, [("prediction", "descending")]))[:3]["item_id"].to_pylist()
    top = [row["item_id"] for row in s3.read_top(31)[:3]]
    assert best == top


@pytest.mark.parametrize(
    ("header", "status"), [("HTTP_IF_NONE_MATCH", None), ("HTTP_IF_MATCH", None), ("HTTP_IF_NONE_MATCH", "501")]
)
def test_a_store_without_conditional_writes_is_refused_at_the_start(
    table, s3, s3_server, inputs, header, status, monkeypatch
):
    monkeypatch.setitem(bucket_module._RETRIES, "max_retries", 1)
    monkeypatch.setattr(table.store, "bucket", bucket_module.Bucket.open(s3.uri))

    def tamper(environ):
        has = environ.pop(header, None)
        return "501 NotImplemented" if has and status else None

    s3_server.reset(tamper=tamper)
    with pytest.raises(BadTable, match=r"\(If-None-Match, If-Match\).*; use another store, or a folder"):
        publish(table, "v1", inputs)
    s3_server.reset()
    assert set(s3.names()) <= {".recobatch-table"}


def test_a_wrong_key_is_refused_in_one_line(table, s3, s3_server, inputs):
    s3_server.reset(tamper=lambda _: "403 Forbidden")
    with pytest.raises(
        BadTable, match=r"does not permit to read .* expected credentials .*; check key, secret"
    ) as told:
        publish(table, "v1", inputs)
    assert told.value.exit_code == 2
    assert "\n" not in str(told.value)
    s3_server.reset()
    assert s3.names() == []


@pytest.mark.long
@pytest.mark.parametrize("status", ["409 Conflict", "503 Slow Down"])
def test_a_store_that_is_busy_is_asked_again(table, s3, s3_server, inputs, status):
    """Every write is refused once: of the lease, the shards, their notes, the manifest and the pointer."""
    refused = set()

    def tamper(environ):
        if environ["REQUEST_METHOD"] != "PUT" or environ["PATH_INFO"] in refused:
            return None
        refused.add(environ["PATH_INFO"])
        return status

    s3_server.reset(tamper=tamper)
    publish(table, "v1", inputs, top=3)
    s3_server.reset()
    assert len(refused) >= 7
    assert table.verify().ok
