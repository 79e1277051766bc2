import pyarrow.parquet as pq

from recobatch.ingest import IngestOptions, IngestReport, ingest
from recobatch.interactions import RAW_COLUMNS
from recobatch.reading import ReadOptions


def test_movielens_csv_and_u_data_are_the_same_ratings(ml100k_dir, tmp_path):
    reports = [
        ingest(str(ml100k_dir / name), ReadOptions(), IngestOptions(), tmp_path) for name in ("ratings.csv", "u.data")
    ]
    assert [(report.rows, report.ratings, report.quarantined) for report in reports] == [(100_000, 100_000, 0)] * 2
    assert reports[0].fingerprint == reports[1].fingerprint
    assert (reports[0].rating_min, reports[0].rating_max) == (1, 5)
    table = pq.read_table(reports[1].ratings_path)
    assert tuple(table.column_names) == RAW_COLUMNS
    assert [str(kind) for kind in table.schema.types] == ["int64", "int64", "float", "int64"]
    assert table.slice(0, 1).to_pylist() == [{"user_id": 196, "item_id": 242, "rating": 3, "timestamp": 881250949}]


def test_report_survives_json(ml100k_dir, tmp_path):
    report = ingest(str(ml100k_dir / "u.data"), ReadOptions(), IngestOptions(), tmp_path)
    assert IngestReport.from_dict(report.to_dict()) == report
