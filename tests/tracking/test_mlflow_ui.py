"""What a modeller sees in the MLflow UI: a real server, a real browser, two runs of one batch."""

import json
import shutil
from urllib.parse import quote

import pytest

from recobatch.tracking import Tracker, TrackingOptions
from tests.support.dataset import DATASET

pytestmark = pytest.mark.long

CURVES = {
    "explicit_mf": ([7.31, 1.05, 0.92], [1.52, 0.99, 0.91]),
    "explicit_mf_bias": ([1.01, 0.83, 0.79], [0.95, 0.86, 0.84]),
}
TEST_MSE = {"explicit_mf": 0.9137, "explicit_mf_bias": 0.8471}
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 90_000


@pytest.fixture(scope="module")
def runs(server_root, model_files):
    """The two runs, tracked as a batch tracks them; their ids by model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracker = Tracker(TrackingOptions(experiment="for people", registered_model="for-people"), server_root)
    ids, versions = {}, {}
    for name, (loss, val_loss) in CURVES.items():
        run = tracker.start_run(batch_id="b1", model_name=name, params={"train": {"epochs": 3}}, dataset=DATASET)
        for epoch, pair in enumerate(zip(loss, val_loss, strict=True), 1):
            run.log_epoch(epoch, *pair)
        run.log_metrics({"test_mse": TEST_MSE[name]})
        run.log_text("<svg xmlns='http://www.w3.org/2000/svg'><text y='20'>a diagram</text></svg>", "model_diagram.svg")
        run.log_model(model_files)
        note = f"`{name}` of batch `b1`.\n\n| | |\n|---|---|\n| Test error | MSE {TEST_MSE[name]} |\n| Table | `b1` |"
        versions[name] = tracker.register(run, description=note, tags={"batch_id": "b1"})
        run.finish()
        ids[name] = run.run_id
    tracker.set_alias("champion", versions["explicit_mf_bias"])
    ids["experiment"] = tracker._connection.experiment_id
    return ids


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("found no Chromium, expected to look at the MLflow UI: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture
def look(page, mlflow_server, tmp_path_factory):
    """Open a page of the UI, wait until it says or holds something, and keep a screenshot."""
    shots = tmp_path_factory.mktemp("screenshots")

    def open_page(path, *, until):
        page.goto(f"{mlflow_server}/#{path}")
        page.wait_for_function(until)
        shot = shots / f"{path.strip('/').partition('?')[0].replace('/', '-')}.png"
        page.screenshot(path=shot)
        assert shot.stat().st_size > 10_000
        return page.inner_text("body")

    return open_page


def traces(page):
    """Every line of every chart on the page: its name and its heights."""
    return page.evaluate(
        "Array.from(document.querySelectorAll('.js-plotly-plot')).flatMap(plot => plot.data)"
        ".filter(line => line.y && line.name).map(line => [line.name, Array.from(line.y)])"
    )


def chosen(runs):
    return quote(json.dumps([runs[name] for name in CURVES])), quote(json.dumps([runs["experiment"]]))


def test_the_compare_page_shows_both_runs_and_their_metrics(look, runs):
    ids, experiments = chosen(runs)
    text = look(
        f"/compare-runs?runs={ids}&experiments={experiments}",
        until="document.querySelector('.js-plotly-plot') && document.body.innerText.includes('test_mse')",
    )
    for name in CURVES:
        assert f"{name} · b1" in text
        assert f"{TEST_MSE[name]:.3f}" in text
    assert {"loss", "val_loss", "test_mse", "train.epochs"} <= set(text.split())


def test_loss_and_val_loss_of_both_models_share_one_pair_of_axes(look, runs, page):
    ids, experiments = chosen(runs)
    keys = quote(json.dumps(["loss", "val_loss"]))
    look(
        f"/metric?runs={ids}&metric=%22loss%22&experiments={experiments}&plot_metric_keys={keys}&x_axis=step"
        "&y_axis_scale=linear&line_smoothness=1&show_point=false&deselected_curves=[]&last_linear_y_axis_range=[]"
        f"&plot_layout={quote('{}')}",
        until="(document.querySelector('.js-plotly-plot')?.data ?? []).length >= 4",
    )
    assert page.locator(".js-plotly-plot").count() == 1
    drawn = traces(page)
    for name, pair in CURVES.items():
        for curve in pair:
            assert [f"{name} · b1", pytest.approx(curve)] in drawn


def test_the_charts_of_the_experiment_hold_both_curves(look, runs, page):
    look(
        f"/experiments/{runs['experiment']}/runs?compareRunsMode=CHART",
        until="Array.from(document.querySelectorAll('.js-plotly-plot')).flatMap(plot => plot.data)"
        ".filter(line => line.y && line.y.length == 3).length >= 4",
    )
    heights = [pytest.approx(line) for _, line in traces(page)]
    for pair in CURVES.values():
        for curve in pair:
            assert curve in heights


def test_a_run_shows_its_model_dataset_params_and_artifacts(look, runs):
    run = f"/experiments/{runs['experiment']}/runs/{runs['explicit_mf_bias']}"
    text = look(run, until="document.body.innerText.includes('Logged models (1)')")
    for word in ("explicit_mf_bias · b1", "tiny", "train.epochs", "batch_id", "Finished"):
        assert word in text
    look(f"{run}/artifacts/model_diagram.svg", until="document.body.innerText.includes('model_diagram.svg')")


def test_the_registered_model_says_what_its_champion_is(look, runs, page):
    assert runs
    for path, words in (("/models/for-people", "Champion: version 2."), ("/models/for-people/versions/2", "batch b1")):
        text = look(path, until=f"document.body.innerText.includes({json.dumps(words)})")
        assert f"MSE {TEST_MSE['explicit_mf_bias']}" in text
    assert page.locator("td", has_text="Test error").count() == 1  # a table, not its source
