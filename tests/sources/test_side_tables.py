import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.errors import BadInput
from recobatch.features import Features
from recobatch.sources.movielens import fetch_side_tables
from recobatch.sources.side_columns import Column, build_block, parse_list
from recobatch.sources.side_tables import read_side_table, read_side_table_like
from recobatch.vocabulary import Vocabulary
from tests.support.movielens import CACHE

IDS = Vocabulary.build(pa.array(range(1, 13)))


def write(tmp_path, text, name="users.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_text(text, encoding=encoding)
    return path


def table(rows, header="user_id,sex,age,job"):
    return header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


ROWS = [(n, "MF"[n % 2], 20 + 3 * n, "baker" if n < 6 else "smith") for n in range(1, 13)]


def test_categories_are_aligned_to_the_vocabulary(tmp_path):
    features, report = read_side_table(write(tmp_path, table(ROWS[::-1])), IDS, "user")
    sex = next(block for block in features.blocks if block.name == "sex")
    assert sex.names == ("F", "M")
    assert [sex.names[at] for at in sex.indices] == ["MF"[n % 2] for n in range(1, 13)]
    assert report.used == ("sex", "age", "job")
    assert "used sex (2 categories)" in str(report)


def test_numbers_are_binned_by_quantile():
    block, used_as, _ = build_block(Column("age", [float(n**2) for n in range(200)]))
    assert used_as == "numbers"
    counts = np.bincount(block.indices)
    assert len(counts) == len(block.names) == 10
    assert counts.min() >= 19
    assert block.names[0].startswith("<")


def test_lists_share_their_weight():
    block, used_as, reason = build_block(
        Column("genres", ["Action|Comedy", "Comedy", '["Action", "Comedy"]', "Action"] * 3)
    )
    assert (used_as, reason) == ("lists", "lists of 2 parts")
    assert block.names == ("Action", "Comedy")
    np.testing.assert_allclose(block.dense()[0], [0.5**0.5, 0.5**0.5], rtol=1e-6)
    np.testing.assert_array_equal(block.dense()[1], [0, 1])


@pytest.mark.parametrize(
    ("text", "parts"),
    [("a|b", ["a", "b"]), ('["a", "b c"]', ["a", "b c"]), ("['a', 'b']", ["a", "b"]), ("a", None), ("[]", [])],
)
def test_lists_are_recognised(text, parts):
    assert parse_list(text) == parts


def test_flags_side_by_side_are_one_column(tmp_path):
    rows = [(n, n % 2, (n + 1) % 2, int(n % 3 == 0)) for n in range(1, 13)]
    features, report = read_side_table(
        write(tmp_path, table(rows, "item_id,Action,Comedy,War"), "items.csv"), IDS, "item"
    )
    assert [block.name for block in features.blocks] == ["Action…War"]
    assert features.blocks[0].names == ("Action", "Comedy", "War")
    assert report.used == ("Action…War",)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("overview", [f"a long text about the {n}th film and all that happens in it" for n in range(20)], "text"),
        ("title", [f"Film {n}" for n in range(20)], "nearly a value of its own"),
        ("director", ["Hitchcock", "Kubrick"] * 10, "names or contact data of people"),
        ("email", ["a@b.c"] * 20, "names or contact data of people"),
        ("country", ["CH"] * 20, "constant"),
        ("notes", [None] * 20, "empty"),
        ("row", [str(n) for n in range(150)], "numbers the rows"),
    ],
)
def test_columns_that_say_nothing_are_left_out(name, values, reason):
    block, used_as, found = build_block(Column(name, values))
    assert block is None
    assert used_as is None
    assert reason in found


def test_oddities_are_counted(tmp_path):
    rows = [*ROWS[2:], ROWS[3], (99, "M", 1, "x"), ("", "M", 2, "x")]
    _, report = read_side_table(write(tmp_path, table(rows)), IDS, "user")
    assert (report.missing_rows, report.duplicates, report.unknown_ids, report.null_ids) == (2, 1, 1, 1)
    for words in ("1 unknown ids", "2 ids without a row", "1 duplicate rows", "1 rows without an id"):
        assert words in str(report)


def test_latin_1_is_read_and_counted(tmp_path):
    rows = [(n, "Zürich" if n % 2 else "Bern") for n in range(1, 13)]
    features, report = read_side_table(write(tmp_path, table(rows, "user_id,town"), encoding="latin-1"), IDS, "user")
    assert features.blocks[0].names == ("Bern", "Zürich")
    assert report.undecodable == 6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,age\nx,3\n", "found no column with the user id ('name', 'age'), expected one named user_id"),
        ("user_id,age\n77,3\n", "found no user of the ratings among its ids ('77')"),
        ("user_id,age,age\n1,3,4\n", "found two columns named 'age'"),
        ("user_id,age\n1,3\n2\n", "found 1 fields in row 3, expected 2 as in the header"),
        ("user_id,age\n", "found no rows"),
        ("user_id,age\n1,\0\n", "found a binary file"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_one_line(tmp_path, text, words):
    with pytest.raises(BadInput) as caught:
        read_side_table(write(tmp_path, text), IDS, "user")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(BadInput, match="found no readable file"):
        read_side_table(tmp_path / "none.csv", IDS, "user")
    (tmp_path / "bad.parquet").write_text("nothing")
    with pytest.raises(BadInput, match="found no readable parquet file"):
        read_side_table(tmp_path / "bad.parquet", IDS, "user")


def test_parquet_and_text_give_the_same(tmp_path):
    columns = list(zip(*ROWS, strict=True))
    frame = pa.table(dict(zip(("user_id", "sex", "age", "job"), map(list, columns), strict=True)))
    pq.write_table(frame, tmp_path / "users.parquet")
    one, _ = read_side_table(tmp_path / "users.parquet", IDS, "user")
    other, _ = read_side_table(write(tmp_path, table(ROWS).replace(",", "\t")), IDS, "user")
    for left, right in zip(one.blocks, other.blocks, strict=True):
        assert left.names == right.names
        np.testing.assert_array_equal(left.dense(), right.dense())


def test_movielens_side_tables(ml100k_dir):
    users, items = fetch_side_tables(CACHE)
    ages, report = read_side_table(users, Vocabulary.build(pa.array(range(1, 944))), "user")
    assert report.used == ("age", "gender", "occupation", "zip_code")
    assert report.missing_rows == report.unknown_ids == 0
    assert ages.n_rows == 943
    films, report = read_side_table(items, Vocabulary.build(pa.array(range(1, 1683))), "item")
    assert report.used == ("release_year", "genres")
    assert "Film-Noir" in films.blocks[1].names


@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "c"])), min_size=12, max_size=40))
def test_every_row_has_its_own_category_or_none(values):
    block, used_as, _ = build_block(Column("kind", values))
    if used_as is not None:
        dense = block.dense()
        for row, value in enumerate(values):
            assert dense[row].sum() == (value in block.names)


def test_features_survive_a_file(tmp_path):
    features, _ = read_side_table(write(tmp_path, table(ROWS)), IDS, "user")
    features.save(tmp_path / "features.npz")
    loaded = Features.load(tmp_path / "features.npz")
    for left, right in zip(features.blocks, loaded.blocks, strict=True):
        assert (left.name, left.names) == (right.name, right.names)
        np.testing.assert_array_equal(left.dense(), right.dense())
    merged = features.merged("side")
    np.testing.assert_array_equal(merged.dense(), np.hstack([block.dense() for block in features.blocks]))


def test_a_later_table_is_read_in_the_columns_and_bins_of_the_fit(tmp_path):
    rows = [(n, "MF"[n % 2], 20 + 3 * n, "a|b" if n % 3 else "b") for n in range(1, 13)]
    path = write(tmp_path, table(rows, "user_id,sex,age,likes"))
    fitted, _ = read_side_table(path, IDS, "user")
    again = read_side_table_like(path, IDS, "user", fitted)
    assert [block.names for block in again.blocks] == [block.names for block in fitted.blocks]
    np.testing.assert_allclose(again.merged("x").dense(), fitted.merged("x").dense())
    more = Vocabulary.build(pa.array([3, 70, 71]))
    rows = [(3, "M", 29, "b"), (70, "F", 1000, "c|a"), (71, "other", "", "")]
    late = read_side_table_like(write(tmp_path, table(rows, "user_id,sex,age,likes")), more, "user", fitted)
    found = [[block.names[at] for block in late.take(np.array([row])).blocks for at in block.indices] for row in (1, 2)]
    assert found == [["F", fitted.blocks[1].names[-1], "a"], []]
    gone = read_side_table_like(write(tmp_path, table([(3, "M")], "user_id,sex")), more, "user", fitted)
    assert gone.n_features == fitted.n_features
