"""A small published table for every test of this folder."""

from contextlib import closing

import psycopg2
import pytest

from recobatch.table import open_table, pieces
from tests.support.killed_export import PIECE
from tests.support.postgres_server import PASSWORD, postgres_server, sql
from tests.support.small_table import make_model, publish, write_inputs


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """60 users × 40 items."""
    return write_inputs(tmp_path_factory.mktemp("inputs"), make_model(60, 40))


@pytest.fixture
def table(tmp_path):
    return open_table(tmp_path / "predictions")


@pytest.fixture
def published(table, inputs):
    """Two snapshots of two models each: v1, v2."""
    for version in ("v1", "v2"):
        publish(table, version, inputs, names=("bias", "plain"), top=5)
    return table


@pytest.fixture
def small_pieces(monkeypatch):
    """Exports commit a few hundred rows at a time."""
    monkeypatch.setattr(pieces, "_PIECE_ROWS", PIECE)


@pytest.fixture(scope="module")
def server():
    with postgres_server() as url:
        yield url


@pytest.fixture
def database(server):
    """The address of a fresh database that ``ann`` owns."""
    with closing(psycopg2.connect(f"{server}/postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
            cursor.execute("DROP ROLE IF EXISTS ann, bob")
            cursor.execute("CREATE ROLE ann LOGIN PASSWORD 'hush-me'; CREATE ROLE bob LOGIN PASSWORD 'hush-me'")
            cursor.execute("CREATE DATABASE shop OWNER ann")
    # As it is by default since Postgres 15.
    sql(f"{server}/shop", "REVOKE CREATE ON SCHEMA public FROM PUBLIC", "GRANT CREATE ON SCHEMA public TO ann")
    return f"postgresql://ann:{PASSWORD}@{server.rpartition('@')[2]}/shop"
