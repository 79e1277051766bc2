import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from hatchling.builders.wheel import WheelBuilder

from recobatch.errors import BadInput
from recobatch.report import findings
from recobatch.report.page import write_report
from tests.support.paths import REPO

pytestmark = pytest.mark.slow


class Outline(HTMLParser):
    """Collects text, ids and whether every tag is closed."""

    def __init__(self, page):
        super().__init__()
        self.text, self.ids, self.open, self.unbalanced = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in {"meta"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def render(tmp_path_factory):
    """The text of the page of a batch."""

    def render(inputs):
        folder = tmp_path_factory.mktemp("report")
        write_report(inputs, folder / "report.html", folder)
        return (folder / "report.html").read_text(encoding="utf-8")

    return render


@pytest.fixture(scope="module")
def page(inputs, render):
    return render(inputs)


def text_of(page):
    return " ".join(" ".join(Outline(page).text).split())


def test_the_page_needs_nothing_from_anywhere(page):
    assert not re.search(r"""(src|href)=["'](?!#)""", page)
    assert "@import" not in page
    assert "<script" not in page
    assert not re.search(r"url\((?!#)", page)


def test_the_page_is_small_balanced_and_its_ids_are_unique(page):
    outline = Outline(page)
    assert len(page.encode()) < 2_000_000
    assert outline.unbalanced == []
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    references = set(re.findall(r'(?:href="#|url\(#)([^")]+)', page))
    assert references <= set(outline.ids)


def test_the_page_shows_the_results_of_the_batch(page, inputs):
    text = text_of(page)
    champion = inputs.models[1]
    for word in (
        f"explicit_mf_bias predicts a rating with an average error of {champion.test_mae:.2f}",
        f"{champion.test_mse:.4f}", f"{inputs.models[0].test_mse:.4f}", "user and item means", "0.6000",
        f"explicit_mf ({inputs.models[0].test_mse:.3f}) is no better than user and item means (0.600)",
        "was lowest in epoch 2 of 3", "7 rows (0.23%) were quarantined", "duplicate pair", "q.parquet",
        f"{inputs.cold_rows} test rows are of users or items absent from training", "ab" * 32,
        "FROM 'predictions/current/champion/*.parquet'", "user_id = 'u''1'",
        "recobatch top 'u", "recobatch run tiny.csv", "train.epochs", "Version v1",
    ):  # fmt: skip
        assert word in text, word


@pytest.mark.parametrize(
    ("best_epoch", "words"),
    [
        (None, "; later epochs overfit"),
        (2, "; later epochs overfit"),
        (3, "; its weights are those of epoch 3. Without"),
    ],
)
def test_the_epoch_whose_weights_are_kept_is_the_one_that_mlflow_has(inputs, best_epoch, words):
    champion = replace(inputs.champion_result, best_epoch=best_epoch)
    assert f"val_loss of explicit_mf_bias was lowest in epoch 2 of 3{words}" in findings.training(champion)


def test_the_page_is_light_and_dark(page):
    assert "prefers-color-scheme: dark" in page
    assert 'name="color-scheme" content="light dark"' in page


@pytest.mark.long
def test_the_same_batch_gives_the_same_bytes(page, inputs, render):
    assert render(inputs) == page


def test_nothing_in_the_data_becomes_markup(changed, inputs, render):
    evil = '<script>alert("x")</script>'
    page = render(
        changed(
            batch_id=evil, gate=evil, command=evil, settings={evil: evil}, item_titles=[evil] * 25,
            data_name=evil, data_source=evil, ingest=replace(inputs.ingest, reasons={evil: 1}),
            models=[replace(inputs.models[0], run_url='javascript:alert("x")'), inputs.models[1]],
        )
    )  # fmt: skip
    assert "<script" not in page
    assert text_of(page).count(evil) > 5
    assert "javascript:" not in page


def test_runs_are_linked_where_there_is_a_server(changed, inputs, render):
    models = [replace(model, run_url="http://127.0.0.1:5000/#/r") for model in inputs.models]
    page = render(changed(models=models))
    assert page.count('<a href="http://127.0.0.1:5000/#/r">') == 2


def test_a_batch_that_published_nothing(changed, render):
    page = render(changed(table=None, gate="the gate refused: found 0.99, expected below 0.89"))
    assert "the previous version remains current" in page
    assert '<p class="warning">the gate refused: found 0.99' in page


def test_one_model_no_baselines_no_titles_few_rows(changed, inputs, render):
    few = replace(inputs.split, test=inputs.split.test.take(np.array([0, 1])))
    model = replace(inputs.models[1], val_loss=[], test_prediction=np.array([2.0, 4.0], dtype=np.float32))
    page = render(changed(models=[model], baselines={}, split=few, item_titles=[str(n) for n in range(25)]))
    assert "only its training loss is drawn" in page


def test_a_model_whose_predictions_are_no_numbers(changed, inputs, render):
    nan = float("nan")
    broken = [
        replace(model, test_prediction=np.full(600, nan), test_mse=nan, test_rmse=nan, test_mae=nan, val_loss=[nan])
        for model in inputs.models
    ]
    page = render(changed(models=[inputs.models[1], broken[0]]))
    assert "explicit_mf predicts values that are no numbers." in page
    assert "explicit_mf_bias predicts a rating with an average error of" in page
    page = render(changed(models=broken, table=None, gate="found predictions that are not finite"))
    assert "explicit_mf_bias failed: not all of its predictions are numbers" in page
    assert "found predictions that are not finite" in page


def test_groups_of_items_are_named_by_their_ratings(page, inputs, changed, render):
    group = r"items (with [\d–]+ ratings|absent from training)"
    assert re.search(rf"is smallest for {group} \(RMSE 0\.\d\d\) and largest for {group} \(", text_of(page))
    without = replace(inputs.split, train=inputs.split.train.take(np.array([], dtype=int)))
    assert "All test rows are of items absent from training." in text_of(render(changed(split=without)))


def test_a_champion_that_is_no_model(changed, tmp_path):
    with pytest.raises(BadInput, match=r"found the champion 'x', expected one of .*explicit_mf, explicit_mf_bias"):
        write_report(changed(champion="x"), tmp_path / "r.html", tmp_path)
    assert not (tmp_path / "r.html").exists()


def test_no_test_rows(changed, inputs, tmp_path):
    empty = replace(inputs.split, test=inputs.split.test.take(np.array([], dtype=int)))
    with pytest.raises(BadInput, match="found no test rows, expected at least one"):
        write_report(changed(split=empty), tmp_path / "r.html", tmp_path)


def test_the_file_is_written_where_asked(inputs, tmp_path):
    page = tmp_path / "deep" / "report.html"
    written = write_report(inputs, page, tmp_path / "artifacts")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {path.parent for paths in written.values() for path in paths} == {
        tmp_path / "artifacts" / model.name for model in inputs.models
    }


def test_templates_are_part_of_the_package_and_of_its_wheel():
    names = {"report.html.j2", "evaluation.html.j2", "page.css"}
    assert {file.name for file in files("recobatch.report").joinpath("templates").iterdir()} == names
    shipped = {file.distribution_path for file in WheelBuilder(str(REPO)).recurse_included_files()}
    assert {f"recobatch/report/templates/{name}" for name in names} <= shipped
