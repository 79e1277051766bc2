import bz2
import gzip
import io
import lzma
import math
import zipfile

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recobatch.errors import BadRatings
from recobatch.ingest import IngestOptions, IngestReport, ingest
from recobatch.interactions import RAW_COLUMNS
from recobatch.reading import ReadOptions
from tests.support.ingesting import HEADER, ingest_content


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for every example of a law: each overwrites the last."""
    return tmp_path_factory.mktemp("ingest")


@pytest.mark.long
def test_movielens_is_the_same_in_every_format(ml100k_dir, tmp_path):
    content = (ml100k_dir / "u.data").read_bytes()
    frame = pd.read_csv(ml100k_dir / "ratings.csv")
    columns = {"ratings.csv": (ml100k_dir / "ratings.csv").read_bytes(), "u.data": content}
    columns["r.dat"] = content.replace(b"\t", b"::")
    columns["r.tsv.gz"], columns["r.bz2"], columns["r.xz"] = (c.compress(content) for c in (gzip, bz2, lzma))
    columns["r.csv.zst"] = pa.compress(columns["ratings.csv"], codec="zstd", asbytes=True)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("ml/r.csv", columns["ratings.csv"])
        archive.writestr("__MACOSX/ml/r.csv", b"\0")
    columns["r.zip"] = sink.getvalue()
    frame.to_parquet(tmp_path / "frame.parquet")
    columns["r.parquet"] = (tmp_path / "frame.parquet").read_bytes()
    columns["r.parquet.gz"] = gzip.compress(columns["r.parquet"])
    fingerprints = set()
    for name, written in columns.items():
        (tmp_path / name).write_bytes(written)
        report = ingest(str(tmp_path / name), ReadOptions(), IngestOptions(), tmp_path)
        fingerprints.add(report.fingerprint)
        assert (report.rows, report.ratings, report.quarantined, report.reasons) == (100_000, 100_000, 0, {})
        assert (report.rating_min, report.rating_max, report.quarantine_path) == (1, 5, None)
    assert len(fingerprints) == 1
    table = pq.read_table(report.ratings_path)
    assert tuple(table.column_names) == RAW_COLUMNS
    assert table.schema.types == [pa.int64(), pa.int64(), pa.float32(), pa.int64()]
    assert table["user_id"].to_pylist() == frame["user_id"].tolist()
    assert table["item_id"].to_pylist() == frame["movie_id"].tolist()
    assert table["rating"].to_pylist() == frame["rating"].tolist()
    assert table["timestamp"].to_pylist() == frame["unix_timestamp"].tolist()


def test_the_report_survives_json(tmp_path):
    report, _, _ = ingest_content(tmp_path, HEADER + "1,2,3,4\n1,3,,4\n")
    assert report.quarantine_path == tmp_path / "quarantine.parquet"
    assert IngestReport.from_json(report.to_json(), report.ratings_path.parent) == report
    assert report.columns == {"user": "user", "item": "item", "rating": "rating", "time": "time"}


def test_a_frame_with_gaps(tmp_path):
    """Pandas turns integer ids to floats where one is missing."""
    pd.DataFrame({"userId": [1, None, 3], "movieId": [4, 5, 6], "rating": [1.0, 2.0, None]}).to_parquet(tmp_path / "f")
    report, table, aside = ingest_content(tmp_path, (tmp_path / "f").read_bytes())
    assert (report.reasons, table["user_id"].to_pylist()) == ({"null": 2}, [1])
    assert [(row["line"], row["reason"]) for row in aside] == [(2, "null"), (3, "null")]


def test_says_why_and_where_rows_are_set_aside(tmp_path):
    content = HEADER + "1,1,3,4\n\n,2,3,4\n1,2\n1,3,nan,4\n1,4,9.50,4\n1,5,x,4\n1,1,5,3\n1,6,3,later\n1,7,1e99,4\n"
    report, table, aside = ingest_content(
        tmp_path, content, options=IngestOptions(max_quarantined=1, rating_range=(1, 5))
    )
    assert [(row["line"], row["reason"]) for row in aside] == [
        (4, "null"), (5, "unreadable"), (6, "non_finite"), (7, "out_of_range"), (8, "unreadable"), (9, "duplicate"),
        (10, "unreadable"), (11, "non_finite"),
    ]  # fmt: skip
    assert aside[3] == {"line": 7, "user_id": "1", "item_id": "4", "rating": "9.50", "timestamp": "4", "text": None,
                        "reason": "out_of_range"}  # fmt: skip
    assert aside[1]["text"] == "1,2"
    assert report.reasons == {"unreadable": 3, "null": 1, "non_finite": 2, "out_of_range": 1, "duplicate": 1}
    assert (report.rows, report.ratings, report.quarantined) == (9, 1, 8)
    assert table.to_pylist() == [{"user_id": 1, "item_id": 1, "rating": 3, "timestamp": 4}]


def test_lines_swallowed_by_a_stray_quotation_mark_are_counted(tmp_path):
    report, _, aside = ingest_content(tmp_path, HEADER + '1,2,3,4\n5,"6,7,8\n5,7,7,8\n5,8,7,8\n')
    assert (report.rows, report.ratings) == (4, 1)
    assert [(row["line"], row["text"]) for row in aside] == [(3, '5,"6,7,8'), (4, "5,7,7,8"), (5, "5,8,7,8")]


def test_a_few_rows_of_another_encoding_are_set_aside(tmp_path):
    content = (HEADER + "é,1,3,4\n").encode() + b"\xe9,2,3,4\nx,\xff\n"
    report, table, aside = ingest_content(tmp_path, content)
    assert (report.reasons, table["user_id"].to_pylist()) == ({"unreadable": 2}, ["é"])
    assert [row["line"] for row in aside] == [3, 4]


def test_a_bad_row_does_not_make_texts_of_integer_ids(tmp_path):
    _, table, _ = ingest_content(tmp_path, HEADER + "1,2,3,4\nTotal,,3,\n")
    assert table["user_id"].to_pylist() == [1]


def test_the_share_set_aside_is_bounded_by_the_setting(tmp_path):
    content = HEADER + "".join(f"{n},1,3,4\n" for n in range(95)) + ",1,3,4\n" * 5
    report, _, _ = ingest_content(tmp_path, content, options=IngestOptions())
    assert (report.ratings, report.quarantined) == (95, 5)


def test_the_same_file_gives_the_same_bytes(ml100k_dir, tmp_path):
    content = (ml100k_dir / "ratings.csv").read_bytes() + b"1,1,x,4\n1,2\n"
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        report, _, _ = ingest_content(tmp_path / name, content)
        written.append((report.ratings_path.read_bytes(), report.quarantine_path.read_bytes(), report.fingerprint))
    assert written[0] == written[1]


def test_a_quoted_line_end_beyond_the_sample_is_found(tmp_path):
    rows = "".join(f"{n % 500},{n},3,\n" for n in range(90_000))
    assert len(rows) > 1 << 20
    tail = "".join(f'{n % 500},{n},3,"a\nb"\n' for n in range(90_000, 180_000)) * 1
    report, _, _ = ingest_content(tmp_path, "user,item,rating,title\n" + rows + tail + "1,2\n")
    assert (report.ratings, report.reasons) == (180_000, {"unreadable": 1})


def test_a_later_run_leaves_no_quarantine_of_an_earlier_one(tmp_path):
    ingest_content(tmp_path, HEADER + "1,2,3,4\n,2,3,4\n")
    report, _, _ = ingest_content(tmp_path, HEADER + "1,2,3,4\n")
    assert report.quarantine_path is None
    assert not (tmp_path / "quarantine.parquet").exists()


def test_a_uri_is_fetched_and_leaves_no_copy(tmp_path):
    with fsspec.open("memory://night/ratings.csv", "wb") as file:
        file.write(HEADER.encode() + b"1,2,3,4\n")
    report = ingest("memory://night/ratings.csv", ReadOptions(), IngestOptions(), tmp_path)
    assert report.ratings == 1
    source = tmp_path / "with space.csv"
    source.write_text(HEADER + "1,2,3,4\n")
    assert ingest(source.as_uri(), ReadOptions(), IngestOptions(), tmp_path).fingerprint == report.fingerprint


@pytest.mark.parametrize("bounds", [(5.0, 1.0), (1.0, 1.0), (math.nan, 1.0), (-math.inf, math.inf), (1.0, math.inf)])
def test_refuses_a_range_upside_down(bounds):
    with pytest.raises(ValidationError, match="expected a lower end below the upper one"):
        IngestOptions(rating_range=bounds)


IDS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4),
    st.lists(st.text("aé7 -,\"'::;\t", min_size=1, max_size=4).filter(lambda text: text.strip() == text), min_size=1),
)
RATINGS = st.floats(-1e6, 1e6, width=32)
TIMES = st.none() | st.integers(0, 2**31)


@st.composite
def clean_ratings(draw):
    users, items = draw(IDS), draw(IDS)
    pairs = draw(
        st.lists(st.tuples(st.sampled_from(users), st.sampled_from(items)), min_size=1, max_size=12, unique=True)
    )
    ratings = draw(st.lists(RATINGS, min_size=len(pairs), max_size=len(pairs)))
    times = draw(st.lists(TIMES, min_size=len(pairs), max_size=len(pairs)))
    return pa.table({
        "user_id": [pair[0] for pair in pairs], "item_id": [pair[1] for pair in pairs],
        "rating": pa.array(ratings, pa.float32()), "timestamp": pa.array(times, pa.int64()),
    })  # fmt: skip


def as_text(table):
    """Ids that look like integers throughout come back as integers from parquet and from text alike."""
    return {name: [str(value) for value in table[name].to_pylist()] for name in ("user_id", "item_id")}


@given(clean_ratings())
def test_what_is_written_is_what_is_read(folder, table):
    sink = io.BytesIO()
    pa.csv.write_csv(table, sink)
    from_csv, written, _ = ingest_content(folder, sink.getvalue())
    assert as_text(written) == as_text(table)
    assert written["rating"].to_pylist() == table["rating"].to_pylist()
    assert written["timestamp"].to_pylist() == table["timestamp"].to_pylist()
    sink = io.BytesIO()
    pq.write_table(table, sink)
    from_parquet, _, _ = ingest_content(folder, sink.getvalue())
    assert from_csv.fingerprint == from_parquet.fingerprint


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.none() | st.integers(0, 3)), min_size=1))
def test_the_latest_of_the_same_pair_stays(folder, rows):
    content = HEADER + "".join(f"{u},{i},{n},{'' if t is None else t}\n" for n, (u, i, t) in enumerate(rows))
    report, table, aside = ingest_content(folder, content)
    best: dict[tuple[int, int], int] = {}
    for n, (user, item, time) in enumerate(rows):
        kept = best.get((user, item))
        if kept is None or (time is None, -(time or 0)) <= (rows[kept][2] is None, -(rows[kept][2] or 0)):
            best[user, item] = n
    assert table["rating"].to_pylist() == sorted(best.values())
    assert [row["line"] - 2 for row in aside] == sorted(set(range(len(rows))) - set(best.values()))
    assert report.rows == report.ratings + report.quarantined == len(rows)


VALID = {"1,2,3,4", "1,2,5,3", "2,2,2,2", "4,4,4,4"}


@given(st.permutations([*sorted(VALID), ",2,3,4", "1,2", "1,3,nan,4", "1,5,x,4", '3,"3,3,3']))
def test_no_row_is_lost(folder, lines):
    before_the_stray_mark = lines[: lines.index('3,"3,3,3')]
    if not VALID.intersection(before_the_stray_mark):
        with pytest.raises(BadRatings, match="9 of 9 ratings cannot be used"):
            ingest_content(folder, HEADER + "\n".join(lines) + "\n")
        return
    report, _, aside = ingest_content(folder, HEADER + "\n".join(lines) + "\n")
    assert report.rows == report.ratings + report.quarantined == len(lines)
    assert all(str(row["line"]).isdecimal() and 2 <= row["line"] <= 10 for row in aside)
    assert len({row["line"] for row in aside}) == len(aside)


def test_ratings_that_overflow_in_training_are_quarantined(tmp_path):
    """A squared gradient grows with the fourth power of the ratings: 1e9 is the most that float32 can hold."""
    rows = "".join(f"1,{item},{rating},4\n" for item, rating in enumerate((1e9, -1e9, 1.1e9, -2e9, 1e30, 3)))
    report, table, quarantined = ingest_content(tmp_path, HEADER + rows)
    assert table["rating"].to_pylist() == [1e9, -1e9, 3]
    assert [(row["line"], row["reason"]) for row in quarantined] == [(line, "too_large") for line in (4, 5, 6)]
    assert (report.rating_min, report.rating_max) == (-1e9, 1e9)
    options = IngestOptions(max_quarantined=1, rating_range=(0, 1e30))
    report, _, _ = ingest_content(tmp_path, HEADER + rows, options=options)
    assert report.reasons == {"too_large": 2, "out_of_range": 2}


def test_the_refusal_of_too_large_ratings_says_how_to_fix_them(tmp_path):
    with pytest.raises(
        BadRatings, match=r"expected at least one valid rating; scale the ratings to within ±1,000,000,000"
    ):
        ingest_content(tmp_path, HEADER + "1,1,1e30,3\n1,2,1e10,3\n")
