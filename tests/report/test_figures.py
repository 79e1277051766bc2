import csv
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from recobatch.report import charts
from recobatch.report.evaluation_summary import ItemError
from recobatch.report.figures import _items_csv
from recobatch.report.page import write_report
from recobatch.report.style import figure_settings, standalone, to_svg

pytestmark = pytest.mark.slow

SVG = {"{http://www.w3.org/2000/svg}svg"}


def texts(svg):
    return " ".join(
        element.text or "" for element in ET.fromstring(svg.encode()).iter() if element.tag.endswith("text")
    )


@pytest.fixture(scope="module")
def artifacts(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    return write_report(inputs, folder / "report.html", folder)


def draw(chart, *args):
    with figure_settings():
        return standalone(to_svg(chart(*args)))


def loss_svg(model, **fields):
    return draw(charts.draw_loss, [replace(model, **fields)])


def test_both_models_and_both_curves_on_one_chart(artifacts):
    files = {path.name: path for path in artifacts["explicit_mf"]}
    assert files["loss_curves.png"].read_bytes().startswith(b"\x89PNG")
    shown = texts(files["loss_curves_of_all.svg"].read_text())
    for word in ("explicit_mf", "explicit_mf_bias", "val_loss", "loss (training)", "epoch"):
        assert word in shown
    assert "explicit_mf_bias" not in texts(files["loss_curves.svg"].read_text())


def test_a_model_without_held_out_rows(inputs):
    assert "epoch" in texts(loss_svg(inputs.models[0], loss=[2.0, 1.0], val_loss=[]))


def test_a_single_epoch_and_a_steep_first_one(inputs):
    loss_svg(inputs.models[0], loss=[1.0], val_loss=[1.0])
    svg = loss_svg(inputs.models[0], loss=[7.3, 1.0, 0.9], val_loss=[1.5, 1.0, 0.95])
    assert {"7", "1.5", "1"} <= set(texts(svg).split())


def test_artifacts_have_the_same_names_for_every_model(artifacts):
    names = [{path.name for path in paths} for paths in artifacts.values()]
    assert list(artifacts) == ["explicit_mf", "explicit_mf_bias"]
    assert names[0] == names[1]
    assert names[0] == {
        "loss_curves.png", "loss_curves.svg", "loss_curves_of_all.svg", "test_errors.svg", "calibration.svg",
        "error_by_activity.svg", "error_by_popularity.svg", "predictions_and_ratings.svg", "item_map.svg",
        "best_and_worst_items.csv",
    }  # fmt: skip


def test_artifacts_are_valid_light_and_dark_and_always_the_same_bytes(inputs, artifacts, tmp_path):
    again = write_report(inputs, tmp_path / "report.html", tmp_path)
    for one, other in zip(artifacts["explicit_mf"], again["explicit_mf"], strict=True):
        assert one.read_bytes() == other.read_bytes()
        if one.suffix == ".svg":
            assert ET.parse(one).getroot().tag in SVG
            assert "prefers-color-scheme: dark" in one.read_text()
            fixed = set(re.findall(r"(?<!, )#[0-9a-f]{6}", re.sub(r"<style>.*?</style>", "", one.read_text())))
            assert not fixed, "a colour that does not follow light and dark"


def test_the_page_and_mlflow_show_the_same_drawings(artifacts, inputs, tmp_path):
    write_report(inputs, tmp_path / "report.html", tmp_path)
    page = (tmp_path / "report.html").read_text()
    for name in ("loss_curves_of_all", "calibration", "error_by_activity", "item_map"):
        (file,) = [path for path in artifacts["explicit_mf_bias"] if path.stem == name]
        shapes = set(re.findall(r' d="[^"]+"', file.read_text()))
        assert shapes
        assert shapes <= set(re.findall(r' d="[^"]+"', page))


def test_best_and_worst_items_with_titles(artifacts):
    with artifacts["explicit_mf_bias"][-1].open() as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows] == ["best"] * 10 + ["worst"] * 10
    best = [float(row["rmse"]) for row in rows[:10]]
    worst = [float(row["rmse"]) for row in rows[10:]]
    assert best == sorted(best)
    assert worst == sorted(worst, reverse=True)
    assert rows[0]["item"].startswith("Film <")


def test_a_title_is_no_formula_in_a_spreadsheet():
    rows = list(csv.DictReader(io.StringIO(_items_csv([ItemError("=HYPERLINK(1)", 3, 4.0, 3.9, 0.5)]))))
    assert rows[0]["item"] == "'=HYPERLINK(1)"


@pytest.mark.parametrize("title", ["$x^2$ and $y", "日本の映画", "=1+1", "A & B < C"])
def test_titles_are_never_read_as_anything_but_text(inputs, title):
    assert title in texts(draw(charts.draw_item_map, inputs.models[0], inputs.ratings_of_item, [title] * 25))


def test_a_model_that_diverged_has_its_loss_curves_at_least(inputs, changed, tmp_path):
    nan = float("nan")
    prediction = np.full_like(inputs.split.test.rating, nan)
    diverged = replace(inputs.models[0], loss=[1.0, nan], val_loss=[nan, nan], test_prediction=prediction)
    written = write_report(changed(models=[diverged, inputs.models[1]]), tmp_path / "r.html", tmp_path)
    assert {path.name for path in written["explicit_mf"]} == {
        "loss_curves.png", "loss_curves.svg", "loss_curves_of_all.svg"
    }  # fmt: skip
    assert "item_map.svg" in {path.name for path in written["explicit_mf_bias"]}
