"""The blocks of a markdown page, as CommonMark reads it, and what the page says of each.

A block in a language that runs is run. One that cannot be says why, in a comment right before it; one that is a
file's content names the file:

    <!-- not run: needs a Docker daemon -->
    <!-- file: tastes.py -->
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from tests.support.paths import REPO

RUN = {"bash", "console", "python", "sql", "toml"}
SHOWN = {"text", "json"}
RUN_ELSEWHERE = {("README.md", "Reading the table"): "tests/consumers/test_query_pages.py"}
"""By page and heading: blocks that need another table than the tutorial's, and the test that runs them."""
READ_IN_ORDER = (
    "README.md", "docs/ratings.md", "docs/settings.md", "docs/models.md", "docs/cluster.md", "docs/recover.md",
)  # fmt: skip
"""After the tutorial, whose folder they go on with."""
_EXCUSE = re.compile(r"<!-- not run: (.+?) -->", re.DOTALL)
_FILE = re.compile(r"<!-- file: (\S+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    """Path from the root of the repository."""
    line: int
    """Of the fence, from 1."""
    heading: str
    """The nearest one above."""
    language: str
    """Empty for an indented block, which has none."""
    text: str
    excuse: str | None
    """Why it is not run, if the page says so."""
    file: str | None = None
    """Where a reader saves it instead of running it."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        return self.text.strip().partition("\n")[0]


def blocks(path: Path) -> list[Block]:
    """Every block of a page in order, but those that are directives to the site's generator."""
    return [block for block in _blocks(path) if not block.language.startswith("{")]


def runnable(path: Path) -> list[Block]:
    """Those that a reader would run, and that can be run here."""
    return [block for block in blocks(path) if block.language in RUN and block.excuse is None]


def pages() -> list[Path]:
    """README and everything under docs."""
    return [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md"))]


def _blocks(path: Path) -> Iterator[Block]:
    heading, excuse, file = "", None, None
    tokens = MarkdownIt("commonmark").parse(path.read_text(encoding="utf-8"))
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = tokens[place + 1].content
        elif token.type == "html_block":
            found = _EXCUSE.search(token.content)
            excuse = " ".join(found[1].split()) if found else None
            named = _FILE.search(token.content)
            file = named[1] if named else None
        elif token.type in {"fence", "code_block"}:
            language = token.info.split()[0] if token.info.strip() else ""
            page = path.relative_to(REPO).as_posix()
            yield Block(page, token.map[0] + 1, heading, language, token.content, excuse, file)
            excuse = file = None
        elif token.type.endswith("_open"):
            excuse = file = None
