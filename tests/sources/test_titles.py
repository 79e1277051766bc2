import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.errors import BadInput, BadRatings
from recobatch.sources.side_cells import read_cells
from recobatch.sources.titles import choose_titles, find_titles, has_titles, read_titles, with_id_type
from tests.support.bad_ratings import not_utf8


def test_movielens_titles_are_the_same_from_both_layouts(ml100k_dir):
    from_csv, from_item = (read_titles(ml100k_dir / name) for name in ("items.csv", "u.item"))
    assert len(from_csv) == 1682
    assert from_csv.equals(from_item)
    assert from_csv.slice(0, 1).to_pylist() == [{"item_id": 1, "title": "Toy Story (1995)"}]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("items.csv", "title,item_id\n\"One, two\nthree\",7\n", {7: "One, two\nthree"}),
        ("movies.csv", "movieId,title,genres\n1,A,x\n1,B,x\n,C,x\n", {1: "A"}),
        ("items.csv", "\ufeffid,name\n007,A\nx,B\n", {"007": "A", "x": "B"}),
        ("movies.dat", "1::Toy Story (1995)::Animation\n", {1: "Toy Story (1995)"}),
    ],
)  # fmt: skip
def test_reads_what_lies_beside_ratings(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert find_titles(tmp_path / "ratings.csv") == tmp_path / name
    titles = read_titles(tmp_path / name)
    assert dict(zip(titles["item_id"].to_pylist(), titles["title"].to_pylist(), strict=True)) == expected


@pytest.mark.parametrize("content", ["", "item_id,year\n1,1995\n", "title\nA\n"])
def test_passes_over_a_file_without_titles(tmp_path, content):
    path = tmp_path / "items.csv"
    path.write_text(content)
    assert find_titles(tmp_path / "ratings.csv") is None
    if content:
        with pytest.raises(BadRatings, match=r"items\.csv: found no titles .*expected a csv with a header"):
            read_titles(path)


def test_reads_a_table_of_the_items_in_parquet(tmp_path):
    path = tmp_path / "catalogue.parquet"
    pq.write_table(pa.table({"item_id": ["a", "b", None], "year": [1, 2, 3], "title": ["A", None, "C"]}), path)
    assert has_titles(path)
    assert choose_titles(path, tmp_path / "u.item") == path
    assert read_titles(path).to_pylist() == [{"item_id": "a", "title": "A"}]
    pq.write_table(pa.table({"item_id": ["a"], "year": [1]}), path)
    assert not has_titles(path)
    assert choose_titles(path, tmp_path / "u.item") == tmp_path / "u.item"
    with pytest.raises(BadRatings, match=r"catalogue\.parquet: found no titles"):
        read_titles(path)
    path.write_bytes(b"no parquet")
    assert not has_titles(path)
    with pytest.raises(BadRatings, match="expected a parquet file"):
        read_titles(path)


def test_a_table_with_texts_that_are_not_utf8_is_refused(tmp_path):
    path = tmp_path / "catalogue.parquet"
    pq.write_table(pa.table({"item_id": [1], "title": not_utf8(b"Mis\xe9rables")}), path)
    with pytest.raises(BadRatings, match=r"catalogue\.parquet: found no titles \('utf-8' codec"):
        read_titles(path)
    with pytest.raises(BadInput, match=r"catalogue\.parquet: found no readable parquet file \('utf-8' codec"):
        read_cells(path)


@pytest.mark.parametrize(
    ("ids", "kind", "expected"),
    [
        ([1, 2, 3], pa.string(), ["1", "2", "3"]),
        (["1", "007", "-3"], pa.int64(), [1, -3]),
        (["a", "b", "c"], pa.int64(), []),
        ([1, 2, 3], pa.int64(), [1, 2, 3]),
    ],
)
def test_titles_get_the_type_of_the_items_ids(ids, kind, expected):
    found = with_id_type(pa.table({"item_id": ids, "title": ["A", "B", "C"]}), kind)
    assert found.schema.field("item_id").type == kind
    assert found["item_id"].to_pylist() == expected
    title_of = dict(zip(map(str, ids), "ABC", strict=True))
    assert found["title"].to_pylist() == [title_of[str(each)] for each in expected]


def test_a_ratings_file_is_not_its_own_titles(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("item_id,title\n1,A\n")
    assert find_titles(path) is None
