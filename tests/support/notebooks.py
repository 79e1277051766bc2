"""Jupyter notebooks, run cell by cell without Jupyter: plain Python in one namespace."""

import json
from pathlib import Path
from typing import Any

from tests.support.pages import Block
from tests.support.paths import REPO
from tests.support.snippets import Session


def run_notebook(path: Path) -> list[Any]:
    """The value of every code cell, from top to bottom; what a cell raises says where it stands."""
    session, values = Session(), []
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], 1):
        if cell["cell_type"] == "code":
            page = f"{path.relative_to(REPO).as_posix()} cell {number}"
            values.append(session.run(Block(page, 1, "", "python", "".join(cell["source"]), None)))
    return values
