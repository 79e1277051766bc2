"""The quality of the lists in the report."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from recobatch.report import ListResult
from recobatch.report.list_chart import draw_lists
from recobatch.report.page import write_report
from recobatch.report.style import figure_settings, to_svg

pytestmark = pytest.mark.slow

USERS = ({"least": 1, "most": 9, "members": 15, "rows": 21, "recall_at_10": 0.125, "ndcg_at_10": 0.375},)
ITEMS = ({"least": 0, "most": 4, "members": 12, "rows": 0, "share": 0.11},)
LISTS = (
    ListResult("explicit_mf_bias by product", 10, 0.39, 0.3, 200.0, 0.25, True, False, USERS, ITEMS),
    ListResult("explicit_mf_bias by prediction", 10, 0.117, 0.083, 90.0, 0.1),
    ListResult("interest", 10, 0.389, 0.299, 240.0, 0.2),
    ListResult("popularity", 10, 0.172, 0.135, 300.0, 0.05, is_baseline=True),
    ListResult("bias", 10, 0.045, 0.03, 125.0, 0.02, is_baseline=True),
)


def drawn(lists):
    with figure_settings():
        return to_svg(draw_lists(lists))


def places(svg, names):
    """Height of every label."""
    found = {}
    for element in ET.fromstring(svg).iter():
        if element.tag.endswith("text") and element.text in names:
            found[element.text] = float(element.get("y"))
    return found


def test_every_way_to_rank_and_every_baseline_has_a_label_of_its_own():
    names = {each.name for each in LISTS}
    heights = places(drawn(LISTS), names)
    assert set(heights) == names
    ordered = sorted(heights.values())
    assert min(b - a for a, b in pairwise(ordered)) > 8  # points: no label on another


def test_lists_without_a_hit_are_drawn():
    assert "nothing" in drawn([ListResult("nothing", 10, 0.0, 0.0, 5.0, 0.1)])


@pytest.fixture
def text(changed, tmp_path):
    def text(**fields):
        write_report(changed(**fields), tmp_path / "report.html", tmp_path)
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return text


def test_the_page_has_the_picture_the_figures_and_the_groups(text):
    page = " ".join(text(lists=LISTS).split())
    assert (
        "Lists are ranked by explicit_mf_bias by product: NDCG@10 0.390, 2.27 times that of popularity (0.172)" in page
    )
    assert "<td>popularity</td><td>0.1720</td> <td>0.1350</td>" in page
    assert "users with 1 to 9 ratings" in page
    assert "<td>21</td> <td>0.125</td> <td>0.375</td>" in page
    assert "items with 0 to 4 ratings" in page
    assert 'id="lists-' in page


def test_the_page_says_why_nothing_was_measured(text):
    assert "The lists were not measured: no test rating is high." in text(lists_note="no test rating is high")
    assert "The lists were not measured." in text()


def test_models_keep_the_picture(changed, tmp_path):
    files = write_report(changed(lists=LISTS), tmp_path / "report.html", tmp_path)
    assert "lists.svg" in {path.name for path in files["explicit_mf"]}
