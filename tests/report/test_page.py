import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from recobatch.errors import BadInput
from recobatch.report import sections, words
from recobatch.report.evaluation_summary import EvaluationSummary
from recobatch.report.page import render, write_report


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
def page(inputs):
    return render(inputs)


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
    text = " ".join(Outline(page).text)
    champion = inputs.models[1]
    for word in (
        f"explicit_mf_bias predicts a rating to within {champion.test_mae:.2f} on average",
        f"{champion.test_mse:.4f}", f"{inputs.models[0].test_mse:.4f}", "user and item means", "0.6000",
        f"explicit_mf ({inputs.models[0].test_mse:.3f}) does no better than user and item means (0.600)",
        "was best in epoch 2 of 3", "7 rows (0.23%) were quarantined", "duplicate pair", "q.parquet",
        "48 test rows are of users or items that training never saw", "ab" * 32,
        "FROM 'predictions/current/champion/*.parquet'", "user_id = 'u''1'",
        "recobatch top 'u", "recobatch run tiny.csv", "train.epochs", "Version v1",
    ):  # fmt: skip
        assert word in text, word


def test_the_page_is_light_and_dark(page):
    assert "prefers-color-scheme: dark" in page
    assert 'name="color-scheme" content="light dark"' in page


def test_the_same_batch_gives_the_same_bytes(page, inputs):
    assert render(inputs) == page


def test_nothing_in_the_data_becomes_markup(changed, inputs):
    evil = '<script>alert("x")</script>'
    page = render(
        changed(
            batch_id=evil, gate=evil, command=evil, settings={evil: evil}, item_titles=[evil] * 25,
            data=replace(inputs.data, name=evil, source=evil, quarantined={evil: 1}),
            models=[replace(inputs.models[0], run_url='javascript:alert("x")'), inputs.models[1]],
        )
    )  # fmt: skip
    assert "<script" not in page
    assert "javascript:" not in page


def test_runs_are_linked_where_there_is_a_server(changed, inputs):
    models = [replace(model, run_url="http://127.0.0.1:5000/#/r") for model in inputs.models]
    page = sections.comparison(changed(models=models))
    assert page.count('<a href="http://127.0.0.1:5000/#/r">') == 2


def test_a_batch_that_published_nothing(changed):
    batch = changed(table=None, gate="the gate refused: found 0.99, expected below 0.89")
    assert "the previous version remains current" in sections.published(batch)
    assert "the gate refused: found 0.99" in sections.opening(batch)


def test_one_model_no_baselines_no_titles_few_rows(changed, inputs):
    few = replace(inputs.test, user_index=np.array([0, 1]), item_index=np.array([3, 3]), rating=np.array([1.0, 5.0]))
    model = replace(inputs.models[1], val_loss=[], test_prediction=np.array([2.0, 4.0], dtype=np.float32))
    page = render(changed(models=[model], baselines={}, test=few, item_titles=[str(n) for n in range(25)]))
    assert "only the training loss is drawn" in page


def test_a_model_whose_predictions_are_no_numbers(changed, inputs):
    nan = float("nan")
    broken = [
        replace(model, test_prediction=np.full(600, nan), test_mse=nan, test_rmse=nan, test_mae=nan, val_loss=[nan])
        for model in inputs.models
    ]
    page = render(changed(models=[inputs.models[1], broken[0]]))
    assert "explicit_mf predicts values that are no numbers." in page
    assert "explicit_mf_bias predicts a rating to within" in page
    page = render(changed(models=broken, table=None, gate="found predictions that are not finite"))
    assert "explicit_mf_bias failed: not all of its predictions are numbers" in page
    assert "found predictions that are not finite" in page


def test_groups_are_named_as_people_say_it(inputs):
    text = words.about_popularity(inputs, EvaluationSummary.of(inputs.models, inputs.test))
    assert re.search(r"most exact for items (with \d+–\d+ ratings|that training never saw) \(typical error 0\.", text)
    counts = np.zeros_like(inputs.test.ratings_of_item)
    unseen = replace(inputs.test, ratings_of_item=counts)
    text = words.about_popularity(inputs, EvaluationSummary.of(inputs.models, unseen))
    assert "All test rows are of items that training never saw." in text


def test_a_champion_that_is_no_model(changed, tmp_path):
    with pytest.raises(BadInput, match=r"found the champion 'x', expected one of .*explicit_mf, explicit_mf_bias"):
        write_report(changed(champion="x"), tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_the_file_is_written_where_asked(inputs, tmp_path):
    path = write_report(inputs, tmp_path / "deep" / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
