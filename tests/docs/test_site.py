"""The site builds without a warning and without a network, and the generated parts are in it."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from flows.cli.commands import cli
from flows.settings.tree import all_keys
from tests.support.pages import pages
from tests.support.paths import REPO

pytestmark = pytest.mark.long

OFFLINE = """
import socket, sys
def refuse(*_): raise OSError("the site is built without a network")
socket.socket.connect = socket.create_connection = refuse
from sphinx.cmd.build import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable, "-c", OFFLINE, "--quiet", "--fail-on-warning", "--keep-going",
        "--doctree-dir", str(folder / "doctrees"), str(REPO / "docs"), str(folder / "html"),
    ]  # fmt: skip
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "html"


def text(page: Path) -> str:
    return re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))


def test_every_page_is_there_and_asks_nothing_of_the_network(site):
    for page in pages()[1:]:
        html = (site / page.relative_to(REPO / "docs")).with_suffix(".html").read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?:https?:)?//[^"]+"', html)
        assert fetched == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//|@import\s+['\"]http", sheet.read_text(encoding="utf-8"))


def test_the_command_line_is_from_its_own_help(site):
    page = (site / "cli.html").read_text(encoding="utf-8")
    for name, command in cli.commands.items():
        for option in (each.opts[-1].lstrip("-") for each in command.params if isinstance(each, click.Option)):
            assert f'id="cmdoption-recobatch-{name}-{option}"' in page


def test_the_settings_are_all_there(site):
    page = text(site / "settings.html")
    assert [key for key in all_keys() if key not in page] == []


def test_the_reference_is_from_docstrings(site):
    page = text(site / "python.html")
    for words in ("Predict the ratings of a block of users for every item", "float32, shape (n_users, n_factors)"):
        assert words in page
