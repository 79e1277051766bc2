"""The words of the run page, without a server."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from markdown_it import MarkdownIt

from flows.results.assets import ratings_asset, table_asset
from flows.results.changes import PreviousBatch, changes
from flows.results.page import artifact_key, markdown
from flows.results.summary import BatchSummary, Change
from flows.settings.load import load_settings

ROOT = Path("/srv/recobatch")
PAGES = "https://mlflow.example.org"
RESULT = BatchSummary.from_dict({
    "batch_id": "b2", "champion": "explicit_mf_bias", "seconds": 7.25,
    "data": {"source": "ratings", "ratings": 1200, "users": 30, "items": 20, "quarantined": 4},
    "models": {
        name: {
            "test_mse": error, "test_rmse": error**0.5, "test_mae": 0.5, "loss": [2.0, 1.0],
            "mlflow_run_id": run, "mlflow_url": f"{PAGES}/#/experiments/7/runs/{run}",
        }
        for name, error, run in (("explicit_mf", 0.81, "aa"), ("explicit_mf_bias", 0.64, "bb"))
    },
    "baselines": {"global_mean": {"test_mse": 1.21}},
    "timings": {"ingest": 0.5, "compare": 0.0}, "reused": ["ingest"],
    "table": {
        "path": "predictions", "champion_path": "predictions/current/champion", "version": "v2",
        "rows": {"explicit_mf_bias": 600},
    },
    "report": ".recobatch/reports/b2.html",
})  # fmt: skip


def page(**more):
    return markdown(replace(RESULT, **more), tracking=PAGES, root=ROOT)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("predictions", "batch-result-srv-recobatch-predictions"),
        ("/data/Films_A", "batch-result-data-films-a"),
        ("s3://key:secret@host/bucket/p", "batch-result-s3-host-bucket-p"),
    ],
)
def test_every_table_of_a_server_has_a_result_of_its_own(table, key):
    services = SimpleNamespace(settings=SimpleNamespace(table=SimpleNamespace(path=table)), root=ROOT)
    assert artifact_key(services, "batch-result") == key


def test_a_server_with_pages_is_linked():
    text = page()
    errors = "| 0.8100 | 0.9000 | 0.5000 | – | – | – | – | 2 | – |"
    assert f"| [explicit_mf]({PAGES}/#/experiments/7/runs/aa) {errors}" in text
    errors = "| 0.6400 | 0.8000 | 0.5000 | – | – | – | – | 2 | 600 |"
    assert f"| **[explicit_mf_bias]({PAGES}/#/experiments/7/runs/bb)** ★ {errors}" in text
    assert f"({PAGES}/#/compare-runs?runs=[%22aa%22,%22bb%22]&experiments=[%227%22])" in text
    assert f"[in MLflow]({PAGES}/#/experiments/7/runs/aa/artifacts/report.html)" in text
    assert "`/srv/recobatch/.recobatch/reports/b2.html`" in text
    assert "mlflow ui" not in text


def test_figures_of_the_batch_stand_on_the_page():
    text = page()
    assert text.startswith("## The champion is explicit_mf_bias\n\nBatch `b2`: 1,200 ratings, 30 users, 20 items")
    assert "4 rows quarantined" in text
    assert "| *baseline: global mean* | 1.2100 | 1.1000 | – | – | – | – | – | – | – |" in text
    assert "Version `v2` in `/srv/recobatch/predictions`" in text
    assert "| ingest (reused) | 0.50 |" in text
    assert "| compare" not in text
    assert "Since" not in text


def test_a_batch_that_published_nothing_says_why():
    assert page(unchanged=True).startswith("## Nothing new since version v2, which is current\n")
    rolled_back = page(unchanged=True, rolled_back="v3")
    assert rolled_back.startswith("## Nothing published: version v3 was rolled back, version v2 is current\n")


def test_a_change_is_listed_model_by_model():
    errors = {"explicit_mf": {"test_mse": 0.8, "test_rmse": 0.9}, "gone": {"test_mse": 1.0}}
    before = PreviousBatch("version v1", "explicit_mf", {"ratings": 1300, "users": 30}, errors)
    change = changes(RESULT, before)
    assert change.to_dict() == {
        "since": "version v1", "champion": {"before": "explicit_mf", "now": "explicit_mf_bias"},
        "champion_changed": True, "data": {"ratings": -100, "users": 0},
        "models": {"explicit_mf": {"test_mse": 0.01, "test_rmse": 0.0}},
    }  # fmt: skip
    assert Change.from_dict(change.to_dict()) == change
    text = page(change=change)
    assert "### Since version v1\n\n- champion changed from explicit_mf to **explicit_mf_bias**\n" in text
    assert "- ratings -100, users +0\n- explicit_mf: test MSE +0.0100, RMSE +0.0000\n" in text


def test_without_an_earlier_batch_nothing_changed():
    assert changes(RESULT, None) is None
    assert PreviousBatch.published(None) is None


def test_assets_have_names_that_prefect_accepts_and_no_secret():
    settings = load_settings({"table": {"path": "a table/50%"}}, environment={}, toml=ROOT / "none.toml")
    table = table_asset(settings, ROOT)
    assert table.key == "file:///srv/recobatch/a-table/50-"
    assert "current/champion" in table.properties.description
    bucket = table_asset(
        load_settings({"table": {"path": "s3://bucket/predictions"}}, environment={}, toml=ROOT / "none.toml"), ROOT
    )
    assert bucket.key == "s3://bucket/predictions"
    assert "current.json" in bucket.properties.description
    assert ratings_asset("s3://bucket/ratings.parquet", ROOT).key == "s3://bucket/ratings.parquet"
    assert ratings_asset("https://me:s3cret@host/r.csv?sig=s3cret", ROOT).key == "https://host/r.csv"
    assert ratings_asset("simplecache::S3://bucket/r.csv", ROOT).key == "simplecaches3://bucket/r.csv"
    assert len(ratings_asset("x" * 900, ROOT).key) == 512


def test_names_of_files_and_folders_are_no_html():
    evil = "a` <img src=x onerror=alert(1)> ``.csv"
    text = page(
        data=replace(RESULT.data, source=evil), table=replace(RESULT.table, path=f"{evil}\n\n<b>"), report=f".r/{evil}"
    )
    shown = MarkdownIt().enable("table").render(text)
    assert "<img" not in shown
    assert "<b>" not in shown
    assert shown.count("&lt;img src=x onerror=alert(1)&gt;") == 3
