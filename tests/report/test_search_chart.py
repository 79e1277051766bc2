"""The pictures of a search say what they are of, and are the same for the same trials."""

import xml.etree.ElementTree as ElementTree

import pytest

from recobatch.report.search_chart import draw_importance, draw_search

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("errors", [[], [0.9], [0.9, 0.8, 25.0, 0.85]], ids=["none", "one", "one far off"])
@pytest.mark.parametrize("baseline", [None, 0.95])
def test_errors_by_trial(errors, baseline):
    svg = draw_search(errors, baseline)
    text = "".join(ElementTree.fromstring(svg.encode()).itertext())
    assert "Validation MSE by trial" in text
    assert ("settings in force" in text) == (baseline is not None)
    assert ("lowest so far" in text) == bool(errors)
    assert draw_search(errors, baseline) == svg


def test_importance_names_each_setting_with_its_share():
    text = "".join(ElementTree.fromstring(draw_importance({"train.decay": 0.75, "model.l2": 0.25}).encode()).itertext())
    for words in ("What the error depends on", "train.decay", "75%", "model.l2", "25%"):
        assert words in text
