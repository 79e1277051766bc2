"""The notebooks of docs/examples run as they stand, and are kept without output."""

import json

import numpy as np
import pytest

from tests.support.notebooks import run_notebook
from tests.support.paths import REPO

NOTEBOOKS = sorted((REPO / "docs" / "examples").glob("*.ipynb"))


@pytest.mark.slow
def test_the_five_lines_run():
    values = run_notebook(REPO / "docs" / "examples" / "five_lines.ipynb")
    ratings, model, predictions, lists, intervals, similar, why, _ = values
    assert list(ratings.columns) == ["userId", "movieId", "rating"]
    assert "bayesian_mf" in repr(model)
    assert np.diff(predictions)[0] < -1  # of the user's own taste, and of the other
    assert len(lists) == 6
    assert (intervals["lower_90"] <= intervals["prediction"]).all()
    assert (intervals["prediction"] <= intervals["upper_90"]).all()
    assert (similar["item_id"] % 2 == 0).all()
    assert (why["because"] % 2 == 0).all()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_output(path):
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
