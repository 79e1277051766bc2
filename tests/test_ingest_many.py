"""Many files, read as one."""

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.errors import BadRatings, NoRatings
from recobatch.ingest import IngestOptions, gathered, ingest
from recobatch.reading import ReadOptions
from recobatch.storage import disk_array
from tests.support.ingesting import HEADER, LENIENT


def ratings(n_rows=5_000, seed=0, kind=None):
    """Rows with duplicates and nulls, few of them of one user."""
    rng = np.random.default_rng(seed)
    user = pa.array(rng.integers(0, 60, n_rows), mask=rng.random(n_rows) < 0.01)
    return pa.table({
        "user": user if kind is None else user.cast(kind), "item": rng.integers(0, 300, n_rows),
        "rating": rng.integers(1, 11, n_rows) / 2, "time": rng.integers(10**9, 10**9 + 40, n_rows),
    })  # fmt: skip


def ingested(uri, out, options=LENIENT, **read):
    out.mkdir()
    report = ingest(str(uri), ReadOptions(**read), options, out)
    aside = [] if report.quarantine_path is None else pq.read_table(report.quarantine_path).to_pylist()
    return report, pq.read_table(report.ratings_path), aside


def written(folder, **contents):
    folder.mkdir()
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


@pytest.mark.parametrize("kind", [None, pa.string()])
def test_many_files_give_what_one_file_with_all_their_rows_gives(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(gathered, "_ROWS_PER_PASS", 700)
    monkeypatch.setattr(disk_array, "BLOCK_ROWS", 999)
    monkeypatch.setattr(gathered, "BLOCK_ROWS", 999)
    table = ratings(kind=kind)
    pq.write_table(table, tmp_path / "one.parquet")
    (tmp_path / "many").mkdir()
    for number in range(7):
        pq.write_table(table.slice(number * 800, 800), tmp_path / "many" / f"part-{number}.parquet")
    one, clean, aside = ingested(tmp_path / "one.parquet", tmp_path / "a")
    many, same, quoted = ingested(tmp_path / "many", tmp_path / "b")
    assert one.reasons["duplicate"] > 100
    assert one.reasons["null"] > 10
    assert same.equals(clean)
    assert {**many.to_json()} == one.to_json()
    lines = [800 * int(row.pop("file")[5]) + row["line"] for row in quoted]
    assert [{**row, "line": line} for row, line in zip(quoted, lines, strict=True)] == aside
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["quarantine.parquet", "ratings.parquet"]


def test_text_ids_in_one_file_make_the_column_text(tmp_path):
    folder = written(
        tmp_path / "r", **{"a.csv": HEADER + "7,1,3,\n", "b.csv": HEADER + "x,1,4,\n", "c.csv": HEADER + "7,2,5,\n"}
    )
    report, clean, _ = ingested(folder, tmp_path / "out")
    assert clean["user_id"].to_pylist() == ["7", "x", "7"]
    assert clean["item_id"].to_pylist() == [1, 1, 2]
    assert (report.rating_min, report.rating_max) == (3.0, 5.0)


def test_integers_and_texts_of_parquet_files_are_texts_as_in_one_column(tmp_path):
    (tmp_path / "r").mkdir()
    for name, user in (("a", [1, 2]), ("b", ["2", "x"]), ("c", [3, 1])):
        pq.write_table(
            pa.table({"user": user, "item": [1, 2], "rating": [1.0, 2.0]}), tmp_path / "r" / f"{name}.parquet"
        )
    _, clean, _ = ingested(tmp_path / "r", tmp_path / "out")
    assert clean["user_id"].to_pylist() == ["1", "2", "2", "x", "3", "1"]


def test_the_latest_rating_of_a_pair_is_kept_whichever_file_has_it(tmp_path):
    folder = written(
        tmp_path / "r", **{"a.csv": HEADER + "1,1,5,20\n2,1,3,1\n", "b.csv": HEADER + "\n1,1,4,10\n2,1,2,1\n"}
    )
    _, clean, aside = ingested(folder, tmp_path / "out")
    assert clean.to_pydict() == {
        "user_id": [1, 2], "item_id": [1, 1], "rating": [5.0, 2.0], "timestamp": [20, 1],
    }  # fmt: skip
    assert [(row["file"], row["line"], row["reason"]) for row in aside] == [
        ("a.csv", 3, "duplicate"),
        ("b.csv", 3, "duplicate"),
    ]


def test_partitions_are_columns_where_the_files_lack_them(tmp_path):
    folder = written(
        tmp_path / "r",
        **{
            "rating=4.5/date=2001-09-09/x.csv": "user,item\n1,2\n",
            "rating=3/date=__HIVE_DEFAULT_PARTITION__/x.csv": "user,item\n1,3\n",
        },
    )  # fmt: skip
    report, clean, _ = ingested(folder, tmp_path / "out")
    assert clean.to_pydict() == {
        "user_id": [1, 1], "item_id": [3, 2], "rating": [3.0, 4.5], "timestamp": [None, 999_993_600],
    }  # fmt: skip
    assert report.columns == {"user": "user", "item": "item", "rating": "rating", "time": "date"}


def test_a_file_s_own_column_comes_before_a_partition_unless_it_is_named(tmp_path):
    (tmp_path / "r" / "date=2020-01-01").mkdir(parents=True)
    table = pa.table({"user": [1], "item": [2], "rating": [3.0], "timestamp": [50]})
    pq.write_table(table, tmp_path / "r" / "date=2020-01-01" / "x.parquet")
    assert ingested(tmp_path / "r", tmp_path / "a")[1]["timestamp"].to_pylist() == [50]
    assert ingested(tmp_path / "r", tmp_path / "b", time_column="date")[1]["timestamp"].to_pylist() == [1_577_836_800]


def test_empty_files_are_passed_over_among_others(tmp_path):
    folder = written(tmp_path / "r", **{"a.csv": "", "b.csv": HEADER, "c.csv": HEADER + "1,1,5,20\n"})
    assert ingested(folder, tmp_path / "out")[0].rows == 1
    (folder / "c.csv").unlink()
    with pytest.raises(NoRatings, match="found 2 files without a rating"):
        ingested(folder, tmp_path / "none")


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (HEADER + "1,2,3,x\n" * 3, "r: 3 of 4 ratings cannot be used (3 unreadable; first: b.csv, line 2, unreadable"),
        ("uid,item,rating,time\n1,1,5,20\n", "b.csv: found columns 'uid' (user)"),
        ("1,1,5,20\n", "b.csv: found columns '0' (user)"),
        ('{"user": 1}\n', "b.csv: found JSON"),
        ("PAR1", "b.csv: found a damaged parquet file"),
    ],
)
def test_names_the_file_that_is_wrong_and_leaves_nothing(second, words, tmp_path):
    folder = written(tmp_path / "r", **{"a.csv": HEADER + "1,1,5,20\n", "b.csv": second})
    with pytest.raises(BadRatings) as caught:
        ingested(folder, tmp_path / "out", IngestOptions())
    assert words in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_of_an_object_store_is_read(tmp_path):
    for number in range(3):
        with fsspec.open(f"memory://ingest-many/part-{number}.csv", "wt") as file:
            file.write(f"{HEADER}{number},1,5,20\n")
    report, clean, _ = ingested("memory://ingest-many/", tmp_path / "out")
    assert clean["user_id"].to_pylist() == [0, 1, 2]
    assert report.quarantine_path is None
