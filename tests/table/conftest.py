"""A small published table for every test of this folder."""

import pytest

from recobatch.table import open_table, pieces
from tests.support.killed_export import PIECE
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
