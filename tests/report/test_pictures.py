import csv
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from recobatch.report.pictures import save_loss_curves, save_model_pictures

SVG = {"{http://www.w3.org/2000/svg}svg"}


def texts(path):
    return " ".join(element.text or "" for element in ET.parse(path).iter() if element.tag.endswith("text"))


def test_both_models_and_both_curves_on_one_chart(inputs, tmp_path):
    png, svg = save_loss_curves({model.name: (model.loss, model.val_loss) for model in inputs.models}, tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    shown = texts(svg)
    for word in ("explicit_mf", "explicit_mf_bias", "val_loss", "loss (training)", "epoch"):
        assert word in shown


def test_a_model_without_held_out_rows(tmp_path):
    _, svg = save_loss_curves({"m": ([2.0, 1.0], [])}, tmp_path)
    assert "epoch" in texts(svg)


def test_a_single_epoch_and_a_steep_first_one(tmp_path):
    save_loss_curves({"m": ([1.0], [1.0])}, tmp_path)
    _, svg = save_loss_curves({"m": ([7.3, 1.0, 0.9], [1.5, 1.0, 0.95])}, tmp_path)
    assert {"7", "1.5", "1"} <= set(texts(svg).split())


def test_pictures_have_the_same_names_for_every_model(inputs, tmp_path):
    names = [
        [path.name for path in save_model_pictures(model, inputs.test, inputs.item_titles, tmp_path / model.name)]
        for model in inputs.models
    ]
    assert names[0] == names[1]
    assert set(names[0]) == {
        "loss_curves.png", "loss_curves.svg", "calibration.svg", "error_by_activity.svg", "error_by_popularity.svg",
        "predictions_and_ratings.svg", "item_map.svg", "best_and_worst_items.csv",
    }  # fmt: skip


def test_pictures_are_valid_light_and_dark_and_always_the_same_bytes(inputs, tmp_path):
    first, second = (
        save_model_pictures(inputs.models[0], inputs.test, inputs.item_titles, tmp_path / name) for name in "ab"
    )
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        if one.suffix == ".svg":
            assert ET.parse(one).getroot().tag in SVG
            assert "prefers-color-scheme: dark" in one.read_text()
            fixed = set(re.findall(r"(?<!, )#[0-9a-f]{6}", re.sub(r"<style>.*?</style>", "", one.read_text())))
            assert not fixed, "a colour that does not follow light and dark"


def test_best_and_worst_items_with_titles(inputs, tmp_path):
    *_, path = save_model_pictures(inputs.models[1], inputs.test, inputs.item_titles, tmp_path)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["group"] for row in rows] == ["best"] * 10 + ["worst"] * 10
    best = [float(row["rmse"]) for row in rows[:10]]
    worst = [float(row["rmse"]) for row in rows[10:]]
    assert best == sorted(best)
    assert worst == sorted(worst, reverse=True)
    assert rows[0]["item"].startswith("Film <")


@pytest.mark.parametrize("title", ["$x^2$ and $y", "日本の映画", "=1+1", "A & B < C"])
def test_titles_are_never_read_as_anything_but_text(inputs, tmp_path, title):
    save_model_pictures(inputs.models[0], inputs.test, [title] * 25, tmp_path)
    assert title in texts(tmp_path / "item_map.svg")


def test_a_model_that_went_astray_has_its_loss_curves_at_least(inputs, tmp_path):
    nan = float("nan")
    prediction = np.full_like(inputs.test.rating, nan)
    astray = replace(inputs.models[0], loss=[1.0, nan], val_loss=[nan, nan], test_prediction=prediction)
    written = save_model_pictures(astray, inputs.test, inputs.item_titles, tmp_path)
    assert [path.name for path in written] == ["loss_curves.png", "loss_curves.svg"]
