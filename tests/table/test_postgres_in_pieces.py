"""An export into a real Postgres server in pieces: resumed after a kill, and never seen in part."""

from contextlib import closing

import psycopg2
import pytest

from recobatch.errors import RecobatchError
from recobatch.table import open_table, replacement
from recobatch.table.export import export
from tests.support.killed_export import PIECE, ROWS, counted_export, publish_in_pieces, stopped_export
from tests.support.postgres_server import sql, tables

pytestmark = [pytest.mark.long, pytest.mark.server]


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    root = tmp_path_factory.mktemp("divided")
    table = open_table(root / "predictions")
    return [publish_in_pieces(table, f"v{number}", root / f"in{number}", seed=number) for number in (1, 2)]


@pytest.fixture
def earlier(versions):
    return versions[0]


@pytest.fixture
def divided(versions):
    return versions[1]


def rows_in_order(database, name="predictions"):
    return sql(database, f"SELECT user_id, item_id, prediction FROM {name} ORDER BY user_id, item_id")


@pytest.mark.process
def test_an_export_in_pieces_that_is_killed_is_resumed(divided, database, small_pieces):
    sql(database, "CREATE TABLE predictions AS SELECT 1 AS old", "GRANT SELECT ON predictions TO bob")
    with stopped_export(divided, database, 3 * PIECE):
        pass
    assert sql(database, "SELECT * FROM predictions") == [(1,)]
    assert len(tables(database)) == 2
    assert counted_export(divided, f"{database}?table=other") == (0, ROWS)
    assert counted_export(divided, database) == (3 * PIECE, ROWS - 3 * PIECE)
    assert tables(database) == ["other", "predictions"]
    assert rows_in_order(database) == rows_in_order(database, "other")
    assert len(rows_in_order(database.replace("ann", "bob"))) == ROWS
    comment, indexes = sql(
        database,
        "SELECT obj_description('predictions'::regclass), count(*) FROM pg_index "
        "WHERE indrelid = 'predictions'::regclass AND indisvalid",
    )[0]
    assert (comment, indexes) == ("recobatch: predictions of version v2", 1)
    assert counted_export(divided, database) == (0, ROWS)  # the same again: nothing of the name is in its way


def leave_half(snapshot, database):
    def stop(_rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(snapshot, "predictions", database, stop)


def test_another_version_starts_afresh_and_drops_what_was_left(earlier, divided, database, small_pieces):
    sql(database, "CREATE SCHEMA reco", "CREATE TABLE ours_new_01234567 AS SELECT 1 AS mine")
    for target in (database, f"{database}?table=Pairs_2", f"{database}?table=reco.Pairs_2"):
        leave_half(earlier, target)
    assert len(tables(database)) == 3
    for target in (database, f"{database}?table=Pairs_2"):
        assert counted_export(divided, target) == (0, ROWS)
    assert tables(database) == ["Pairs_2", "ours_new_01234567", "predictions"]
    in_schema = "SELECT count(*) FROM pg_tables WHERE schemaname = 'reco'"
    assert sql(database, in_schema) == [(1,)]
    leave_half(divided, f"{database}?table=reco.Pairs_2")
    assert counted_export(divided, f"{database}?table=reco.Pairs_2") == (PIECE, ROWS - PIECE)
    assert sql(database, in_schema) == [(1,)]


def test_what_was_left_and_has_other_rows_is_dropped(divided, database, small_pieces):
    leave_half(divided, database)
    sql(database, f"DELETE FROM {tables(database)[0]} WHERE user_id = 10")
    assert counted_export(divided, database) == (0, ROWS)


def test_a_reader_from_before_delays_the_replacement_and_costs_no_row(divided, database, small_pieces, monkeypatch):
    monkeypatch.setattr(replacement, "LOCK_SECONDS", 1)
    sql(database, "CREATE TABLE predictions AS SELECT 1 AS old")
    with closing(psycopg2.connect(database)) as before, before.cursor() as cursor:
        before.set_session(isolation_level="REPEATABLE READ")
        cursor.execute("SELECT 1")  # takes the snapshot and no lock
        for _ in range(2):
            with pytest.raises(RecobatchError, match=r"lock timeout.* stands; another session held the table, or read"):
                export(divided, "predictions", database)
        cursor.execute("SELECT * FROM predictions")
        assert cursor.fetchall() == [(1,)]
    assert counted_export(divided, database) == (ROWS, 0)
    assert len(rows_in_order(database)) == ROWS
    assert sql(database, "SELECT count(*) FROM pg_index WHERE indrelid = 'predictions'::regclass") == [(1,)]


@pytest.mark.process
def test_of_two_exports_to_one_table_the_second_waits(divided, database, small_pieces, monkeypatch):
    monkeypatch.setattr(replacement, "LOCK_SECONDS", 1)
    refused = pytest.raises(RecobatchError, match=r"lock timeout.* what was there stands; another session held")
    with stopped_export(divided, database, PIECE), refused:
        export(divided, "predictions", database)
    assert counted_export(divided, database) == (PIECE, ROWS - PIECE)
