"""The intervals in the report."""

from dataclasses import replace

import pytest

from recobatch.report import CoverageResult
from recobatch.report.coverage import verdict
from recobatch.report.coverage_chart import draw_coverage
from recobatch.report.page import write_report
from recobatch.report.style import figure_settings

pytestmark = pytest.mark.slow

RESULT = CoverageResult(
    "explicit_mf_bias", 0.904, 2.61, 0.235, (0.89, 0.91, None, *[0.9] * 7), (None, None, *[0.905] * 8)
)
FEW = replace(RESULT, by_user_activity=(None,) * 10, by_item_popularity=(None,) * 10)


def test_the_picture_leaves_out_deciles_with_few_rows():
    with figure_settings():
        (axes,) = draw_coverage(RESULT).axes
    curves = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert curves["user activity"][:2].tolist() == [0.89, 0.91]
    assert curves["item popularity"][2:].tolist() == [0.905] * 8
    low, high = axes.get_ylim()
    assert low < 0.88 < 0.92 < high


def test_the_sentence_names_the_extremes():
    assert verdict(RESULT).endswith("correlate by 0.23. By tenth, they hold 89.0% to 91.0%.")
    assert "By tenth" not in verdict(FEW)


@pytest.mark.parametrize(("result", "is_drawn"), [(RESULT, True), (FEW, False), (None, False)], ids=str)
def test_the_page_shows_the_intervals(changed, tmp_path, result, is_drawn):
    files = write_report(changed(coverage=result), tmp_path / "report.html", tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ("hold 90.4% of the test ratings" in page) == (result is not None)
    assert ('id="coverage_by_decile-' in page) == is_drawn
    assert all(any(file.name == "coverage_by_decile.svg" for file in of) == is_drawn for of in files.values())
