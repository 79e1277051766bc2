"""One table of a version, copied into a table of a real Postgres server in one transaction."""

import json
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg2
import psycopg2.extensions
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from flows.cli.commands import cli
from recobatch.errors import BadInput, BadTable, RecobatchError
from recobatch.table import open_table, postgres, replacement
from recobatch.table.export import check_target, export, rows_to_export
from recobatch.table.pieces import Piece, Rows
from recobatch.table.postgres import copy_to_postgres, parse_target
from tests.support.killed_export import stopped_export
from tests.support.postgres_server import PASSWORD, sql, tables
from tests.support.small_table import make_model, publish, write_inputs

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    root = tmp_path_factory.mktemp("copied")
    return publish(open_table(root / "predictions"), "v1", write_inputs(root / "in", make_model(30, 20)), top=5)


def rows_of(published, kind="top"):
    return pq.read_table(published.parts(kind)[0], partitioning=None).to_pylist()


def test_the_table_holds_the_rows_and_others_stay(published, database):
    sql(database, "CREATE TABLE ours AS SELECT 2 AS mine", "CREATE TABLE top AS SELECT 1 AS old")
    seen = []
    assert export(published, "top", database, seen.append) == sum(seen) == rows_to_export(published, "top") == 150
    names = list(rows_of(published)[0])
    found = sql(database, f"SELECT {', '.join(names)} FROM top ORDER BY user_id, rank")
    for row, expected in zip(found, rows_of(published), strict=True):
        assert [np.float32(x) if isinstance(x, float) else x for x in row] == list(expected.values())
    assert export(published, "predictions", f"{database}?connect_timeout=5&table=Pairs_2") == 600
    assert tables(database) == ["Pairs_2", "ours", "top"]
    assert sql(database, "SELECT obj_description('top'::regclass)") == [("recobatch: top of version v1",)]
    assert sql(database, "SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%(user_id)'") == [(2,)]


@pytest.mark.parametrize("in_pieces", [False, True])
def test_every_value_comes_back_as_it_was(database, tmp_path, in_pieces):
    texts = ["a\tb", "a\\b\nc\r", "\\.", "\\N", "", None, "žluť 😀\x01", "x\n\\.\ny"]
    columns = {
        "text": pa.array(texts),
        "large": pa.array(texts, pa.large_string()),
        "whole": pa.array([2**63 - 1, -(2**63), 0, None, 1, 2, 3, 4], pa.int64()),
        "small": pa.array([1, None, 2, 3, 4, 5, 6, -7], pa.int32()),
        "single": pa.array([0.1, -3.4e38, 1e-40, None, np.inf, 1, 2, 3], pa.float32()),
        "double": pa.array([0.1, 1 / 3, 1e-300, None, -np.inf, 1, 2, 3], pa.float64()),
        "yes": pa.array([True, False, None, True, True, True, True, True]),
        'se"lect %s': pa.array(range(8), pa.int16()),
    }
    table, file = pa.table(columns), tmp_path / "odd.parquet"
    with pq.ParquetWriter(file, table.schema) as writer:
        for part in (table.slice(0, 0), table.slice(0, 3), table.slice(3)):
            writer.write_table(part)
    groups = [range(0, 1), range(1, 2), range(2, 3)] if in_pieces else [range(3)]
    pieces = [Piece(file, pq.read_metadata(file), group) for group in groups]
    rows, seen = Rows("top", "it's", "0" * 64, table.schema, pieces), []
    copy_to_postgres(parse_target(database, default="odd"), rows, on_rows=seen.append, on_resume=seen.append)
    assert seen == ([0, 0, 3, 5] if in_pieces else [0, 8])
    found = list(zip(*sql(database, 'SELECT * FROM odd ORDER BY "se""lect %s"'), strict=True))
    assert [np.float32(x) if x is not None else x for x in found.pop(4)] == columns.pop("single").to_pylist()
    assert found == [tuple(column.to_pylist()) for column in columns.values()]
    types = sql(
        database, "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'odd'::regclass AND attnum > 0"
    )
    assert " ".join(name for (name,) in types) == (
        "text text bigint integer real double precision boolean smallint"
    )  # fmt: skip


def test_readers_see_the_old_table_or_the_new_one_and_keep_their_rights(published, database):
    export(published, "top", database)
    sql(database, "GRANT SELECT ON top TO PUBLIC", "GRANT SELECT, UPDATE ON top TO bob WITH GRANT OPTION")
    bob, counts = database.replace("ann", "bob"), []
    with closing(psycopg2.connect(bob)) as earlier, earlier.cursor() as cursor:
        earlier.set_session(isolation_level="REPEATABLE READ")
        cursor.execute("SELECT 1")  # takes the snapshot and no lock

        def look(_rows):
            counts.append(sql(bob, "SELECT count(*) FROM top"))

        export(published, "predictions", f"{database}?table=top", look)
        assert counts == [[(150,)]]
        cursor.execute("SELECT count(*) FROM top")
        assert cursor.fetchall() == [(600,)]
    assert sql(bob, "SELECT count(*) FROM top") == [(600,)]
    granted = "SELECT grantee, privilege_type, is_grantable FROM information_schema.table_privileges"
    assert sorted(sql(database, f"{granted} WHERE table_name = 'top' AND grantee <> 'ann'")) == [
        ("PUBLIC", "SELECT", "NO"), ("bob", "SELECT", "YES"), ("bob", "UPDATE", "YES"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_an_export_that_breaks_off_leaves_what_was_there(published, database, kind):
    sql(database, "CREATE TABLE predictions AS SELECT 1 AS old")

    def stop(_rows):
        raise kind("pulled the plug")

    with pytest.raises(kind, match="pulled the plug"):
        export(published, "predictions", database, stop)
    assert sql(database, "SELECT * FROM predictions") == [(1,)]
    assert tables(database) == ["predictions"]


def end_of_sessions(database):
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'recobatch'"
    while sql(database, sessions) != [(0,)]:
        time.sleep(0.02)


@pytest.mark.process
def test_an_export_of_one_piece_that_is_killed_leaves_what_was_there(published, database):
    sql(database, "CREATE TABLE predictions AS SELECT 1 AS old")
    with stopped_export(published, database, 600):
        pass
    assert sql(database, "SELECT * FROM predictions") == [(1,)]
    end_of_sessions(database)
    assert tables(database) == ["predictions"]
    assert export(published, "predictions", database) == 600
    assert tables(database) == ["predictions"]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda url: url.replace(PASSWORD, "hush"), "found no way to connect .*password authentication failed"),
        (lambda url: url.replace("/shop", "/nowhere"), 'found no way to connect .*database "nowhere" does not exist'),
        (
            lambda url: url.replace("ann", "bob"),
            "permission denied for schema public.* grant this user what is missing",
        ),
        (lambda url: f"{url}?table=nowhere.top", 'schema "nowhere" does not exist.* create the schema'),
        (lambda url: f"{url}?table=seen", '"seen" is not a table.* name another one'),
        (lambda url: f"{url}?table=base", "other objects depend on it.* drop what depends on the table"),
        (lambda url: f"{url}?nonsense=hush", "found a malformed address"),
    ],
)
def test_a_server_that_refuses_is_one_clear_line(published, database, edit, words):
    sql(database, "CREATE TABLE base AS SELECT 1 AS old", "CREATE VIEW seen AS SELECT * FROM base")
    with pytest.raises(BadInput, match=words) as refused:
        export(published, "top", edit(database))
    assert "hush" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert tables(database) == ["base"]


def test_a_table_that_is_held_too_long_stands(published, database, monkeypatch):
    monkeypatch.setattr(replacement, "LOCK_SECONDS", 1)
    sql(database, "CREATE TABLE top AS SELECT 1 AS old")
    with closing(psycopg2.connect(database)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT * FROM top")
        with pytest.raises(
            RecobatchError, match=r"lock timeout.* what was there stands; another session held"
        ) as refused:
            export(published, "top", database)
    assert refused.value.exit_code == 1
    assert sql(database, "SELECT * FROM top") == [(1,)]


def test_a_connection_that_is_lost_leaves_what_was_there(published, database):
    sql(database, "CREATE TABLE top AS SELECT 1 AS old")

    def cut(_rows):
        sql(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'recobatch'")

    with pytest.raises(RecobatchError, match=r"could not replace the table top .* what was there stands; ") as refused:
        export(published, "top", database, cut)
    assert refused.value.exit_code == 1
    assert sql(database, "SELECT * FROM top") == [(1,)]


def test_a_connection_that_is_lost_at_the_commit_leaves_it_open_which_table_stands(published, database, monkeypatch):
    class Lost:
        def __init__(self, real):
            self.real, self.cursor, self.close, self.commits = real, real.cursor, real.close, 0

        def commit(self):
            self.commits += 1
            if self.commits < 2:  # that of what was looked at
                return self.real.commit()
            raise psycopg2.OperationalError("server closed the connection unexpectedly\n\tThis probably means")

    monkeypatch.setattr(postgres, "_connect", lambda _, target: Lost(psycopg2.connect(target.dsn)))
    with pytest.raises(RecobatchError, match=r"unexpectedly\), .* the old one or the new one, as its comment says"):
        export(published, "top", database)


def test_the_command_shows_no_password(published, database):
    table = str(Path(published.location).parent.parent)
    shown = f"postgresql://{database.rpartition('@')[2]}"
    done = CliRunner().invoke(cli, ["export", "--to", database, "--table", table])
    assert done.output == f"{shown}: 150 rows of top, version v1\n"
    done = CliRunner().invoke(cli, ["export", "--to", f"{database}?table=mine", "--table", table, "--json"])
    assert json.loads(done.output) == {"table": "top", "version": "v1", "rows": 150, "to": shown}


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:hu/sh@host/db", "postgresql://ann:hu@sh@host/db", "postgresql://ann:12/hush@host/db",
        "postgres://ann:hush%zz@host/db", "postgresql://ann:hush@host:port/db", "postgresql://ann:h?sh@host/db?table=x",
    ],
)  # fmt: skip
def test_a_malformed_address_is_not_repeated(address):
    with pytest.raises(BadInput, match="--to: found a malformed address of a Postgres server") as refused:
        check_target(address, "top")
    assert not {"hush", "hu", "sh@"} & set(str(refused.value).replace("/", " ").split())
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "a;b", 'a"b', "a.b.c", "1a", "a" * 64, "a%20b", "naïve"])
def test_a_bad_name_of_a_table_is_refused(name):
    with pytest.raises(BadInput, match="as the name of a table, expected letters, digits and underscores"):
        check_target(f"postgresql://host/db?table={name}", "top")


def test_the_shown_address_has_neither_user_nor_password():
    for given, shown in {
        "postgresql://ann:hu#sh@host:5433/db?table=x&sslmode=disable": "postgresql://host:5433/db",
        "postgres://ann@/db?host=/run/postgresql&password=hush": "postgresql:///run/postgresql/db",
        "postgresql://ann:12?hush@host/db": "postgresql://host/db",
        "postgresql://": "postgresql:///",
    }.items():
        assert check_target(given, "top") == shown
        assert "hush" not in repr(parse_target(given, "top"))


def test_a_column_that_has_no_type_there_is_named():
    schema = pa.schema({"when": pa.list_(pa.int64())})
    with pytest.raises(BadTable, match=r"when: found values of type list<.*export a file"):
        copy_to_postgres(
            parse_target("postgresql://host/db", "top"), Rows("top", "v1", "0" * 64, schema, []), on_rows=print,
            on_resume=print,
        )  # fmt: skip


def test_a_missing_psycopg2_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(BadInput, match=r"export: found no psycopg2, .* pip install 'recobatch\[export\]'"):
        check_target("postgresql://host/db", "top")
