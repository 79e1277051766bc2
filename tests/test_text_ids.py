"""The id that makes text of a column is known with its place."""

import pytest

from recobatch.ingest import IngestOptions, ingest
from recobatch.reading import ReadOptions
from tests.support.bad_ratings import column, parquet
from tests.support.ingesting import HEADER

LENIENT = IngestOptions(max_quarantined=1)


def text_ids(path, out):
    out.mkdir()
    return ingest(str(path), ReadOptions(), LENIENT, out).text_ids


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (HEADER + "1,2,3,4\n2,3,4,5\n", {}),
        (HEADER + "1,2,3,4\nx7,3,4,5\ny,4,4,5\n", {"user": "'x7' ({path}, line 3)"}),
        (HEADER + "1,2,3,4\nx7,3,none,5\n007,4,4,5\n", {"user": "'007' ({path}, line 4)"}),
        ("7,a b,3\n8,9,4\n", {"item": "'a b' ({path}, line 1)"}),
        (parquet(user=column(["1", "u"]), item=column([1, 2]), rating=column([1, 2])), {"user": "'u' ({path}, row 2)"}),
    ],
)
def test_the_first_valid_id_that_is_no_integer_is_named(content, found, tmp_path):
    path = tmp_path / "given"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert text_ids(path, tmp_path / "out") == {role: text.format(path=path) for role, text in found.items()}


def test_of_many_files_the_first_with_such_an_id_is_named(tmp_path):
    (tmp_path / "many").mkdir()
    for name, user in (("a", "1"), ("b", "x7"), ("c", "y")):
        (tmp_path / "many" / f"{name}.csv").write_text(f"{HEADER}5,2,3,4\n{user},3,4,5\n")
    assert text_ids(tmp_path / "many", tmp_path / "out") == {"user": f"'x7' ({tmp_path}/many/b.csv, line 3)"}
