import datetime
import decimal
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.reading import Ids, ReadOptions, parquet, read_ratings
from tests.support.bad_ratings import not_utf8
from tests.support.ingesting import clean_rows


def parquet_of(**columns):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


MOMENT = datetime.datetime(1997, 12, 4, 15, 55, 49, 900_000)

IDS = {
    "int8": (pa.array([-1, 2], pa.int8()), [-1, 2]),
    "uint16": (pa.array([1, 2], pa.uint16()), [1, 2]),
    "uint64": (pa.array([1, 2**63 - 1], pa.uint64()), [1, 2**63 - 1]),
    "uint64 beyond int64": (pa.array([1, 2**63], pa.uint64()), ["1", str(2**63)]),
    "whole floats": (pa.array([1.0, 2.0]), [1, 2]),
    "strings": (pa.array(["b", "a"]), ["b", "a"]),
    "strings of digits": (pa.array(["2", "1"]), [2, 1]),
    "large strings": (pa.array(["b", "a"], pa.large_string()), ["b", "a"]),
    "dictionary": (pa.array(["b", "a"]).dictionary_encode(), ["b", "a"]),
    "binary": (pa.array([b"b", "é".encode()]), ["b", "é"]),
    "strings that are Latin-1": (not_utf8(b"zo\xe9", b"a"), ["zoé", "a"]),
    "half floats": (pa.array(np.array([1, 2], np.float16)), [1, 2]),
    "binary views": (pa.array([b"b", b"a"], pa.binary_view()), ["b", "a"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_any_type(kind, tmp_path):
    given, expected = IDS[kind]
    content = parquet_of(user=given, item=[1, 2], rating=[3.5, 4.5])
    assert clean_rows(tmp_path, content) == [(expected[0], 1, 3.5, None), (expected[1], 2, 4.5, None)]


RATINGS = {
    "halves": pa.array([4.5], pa.float16()),
    "decimals": pa.array([decimal.Decimal("4.50")]),
    "categories of numbers": pa.array([4.5]).dictionary_encode(),
    "texts": pa.array([" 4.5 "]),
}


@pytest.mark.parametrize("kind", RATINGS)
def test_ratings_of_any_type(kind, tmp_path):
    assert clean_rows(tmp_path, parquet_of(user=[1], item=[2], rating=RATINGS[kind])) == [(1, 2, 4.5, None)]


TIMES = {
    "timestamp": pa.array([MOMENT], pa.timestamp("ms")),
    "timestamp with a zone": pa.array([MOMENT], pa.timestamp("ns", "Europe/Prague")),
    "integer": pa.array([881_250_949], pa.int32()),
    "milliseconds as floats": pa.array([881_250_949_900.0]),
    "date and time of day in categories": pa.array(["1997-12-04 15:55:49"]).dictionary_encode(),
    "text": pa.array(["1997-12-04T15:55:49.9"]),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_of_any_type(kind, tmp_path):
    content = parquet_of(user=[1], item=[2], rating=pa.array([4], pa.int8()), time=TIMES[kind])
    assert clean_rows(tmp_path, content) == [(1, 2, 4, 881_250_949)]


def test_a_text_of_many_rows_is_held_once(tmp_path, monkeypatch):
    """Texts that are expanded row by row would take a gigabyte here."""
    codes, long = pa.array(np.zeros(2_000, np.int32)), pa.array(["x" * 500_000])
    table = pa.table({"user": pa.DictionaryArray.from_arrays(codes, long), "item": range(2_000), "rating": [1] * 2_000})
    sink = io.BytesIO()
    pq.write_table(table, sink, store_schema=False, compression="zstd")
    before = pa.total_allocated_bytes()
    held = []
    monkeypatch.setattr(parquet, "_ids", lambda *_: held.append(pa.total_allocated_bytes()) or Ids(None, None))
    (tmp_path / "given").write_bytes(sink.getvalue())
    read_ratings(tmp_path / "given", ReadOptions(), "given")
    assert max(held) - before < 100 << 20
