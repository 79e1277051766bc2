"""The page about object stores: its readers find the same rows in a bucket."""

import pytest

from recobatch.scoring.predictions import score_block
from recobatch.table import open_table
from tests.support.pages import blocks
from tests.support.paths import REPO
from tests.support.small_table import make_ids, make_model, make_rated, publish
from tests.support.snippets import Session, rows_of

PAGE = REPO / "docs" / "object-store.md"


@pytest.fixture
def page_of(s3):
    """The page's blocks, for the test's own bucket."""

    def read(block):
        text = block.text.replace("s3://bucket/predictions", s3.uri)
        return type(block)(block.page, block.line, block.heading, block.language, text, None)

    return [read(block) for block in blocks(PAGE) if block.language == "python"]


def test_readers_find_the_same_rows(page_of, s3, inputs, tmp_path):
    table = open_table(s3.uri, root=tmp_path)
    for version in ("v1", "v2"):
        publish(table, version, inputs)
    predictions, rated = score_block(make_model(60, 40), slice(0, 60)), make_rated(60, 40).mask(slice(0, 60))
    users, items = make_ids(60).ids.to_pylist(), make_ids(40).ids.to_pylist()
    expected = [
        (user, item, float(predictions[u, i]), bool(rated[u, i]))
        for u, user in enumerate(users)
        for i, item in enumerate(items)
    ]
    session, found = Session(), []
    for block in page_of:
        value = session.run(block)
        if value is not None:
            found.append(rows_of(value))
    assert session.names["current"]["version"] == "v2"
    assert len(found) == 3, "pyarrow, pandas, Polars"
    for rows in found:
        assert rows == expected
