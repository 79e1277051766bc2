"""Every block of README and docs is run by some test, or says why it cannot be; a new one fails until it is."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from flows.cli.commands import cli
from tests.support.pages import READ_IN_ORDER, RUN, SHOWN, blocks, pages, runnable
from tests.support.paths import REPO

WHOLE_PAGES_ELSEWHERE = {
    "docs/query/": '"query" / f"{tool}.md"', "docs/schedule.md": "schedule.md", "docs/schema.md": "schema.md",
    "docs/warehouse.md": "warehouse.md", "docs/web.md": "web.md",
}  # fmt: skip
"""Pages, and how the test that runs them names them."""

EXCUSED = {
    ("docs/cluster.md", "cp .env.example .env"),
    (
        "docs/cluster.md",
        "docker compose exec prefect-worker prefect deployment run batch-scoring/batch-scoring --watch",
    ),
    ("docs/cluster.md", "docker compose up --wait --scale dask-worker=4"),
    ("docs/cluster.md", "docker build -t images.example.org/recobatch:0.1.0 ."),
    ("docs/cluster.md", "prefect work-pool create recobatch --type kubernetes"),
    (
        "docs/cluster.md",
        "kubectl create deployment dask-scheduler --image=images.example.org/recobatch:0.1.0 --port=8786 -- "
        "dask scheduler --no-dashboard",
    ),
    ("README.md", "make run     # .venv from the hashed lock, then the whole job on MovieLens 100k"),
    ("README.md", "docker build -t recobatch ."),
    ("docs/docker.md", "docker build -t recobatch ."),
    ("docs/docker.md", 'docker run --rm -v "$PWD/work:/work" recobatch run ratings.csv --preset tuned'),
    ("docs/docker.md", 'docker run --rm -v "$PWD/work:/work" \\'),
    ("docs/docker.md", "docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \\"),
    (
        "docs/docker.md",
        'docker run -d --restart unless-stopped -v "$PWD/work:/work" recobatch serve --cron "0 3 * * *"',
    ),
    ("docs/recover.md", "rm -rf .recobatch .prefect"),
    ("docs/tutorial.md", "make setup"),
    ("docs/upgrade.md", "git pull"),
    ("docs/warehouse.md", "export PGPASSWORD=…   # or ~/.pgpass"),
    ("docs/warehouse.md", "recobatch changes --since 20261124T030000Z-1a2b3c --to changes.parquet"),
}
"""Blocks that no test runs, by page and first line; the page says why. Where it names a test instead, that runs it."""


def test_every_block_says_in_what_language_it_is():
    unsaid = [
        str(block)
        for page in pages()
        for block in blocks(page)
        if block.language not in RUN | SHOWN and not block.page.startswith(tuple(WHOLE_PAGES_ELSEWHERE))
    ]
    assert unsaid == []


def test_only_these_are_not_run_and_each_says_why():
    excused = {
        (block.page, block.first_line): block.excuse for page in pages() for block in blocks(page) if block.excuse
    }
    named = {place: re.findall(r"tests/\S+\.py", excuse) for place, excuse in excused.items()}
    assert [test for tests in named.values() for test in tests if not (REPO / test).is_file()] == []
    assert {place for place, tests in named.items() if not tests} == EXCUSED
    assert all(len(excuse) > 10 for excuse in excused.values())


def test_every_other_page_with_something_to_run_is_run():
    somewhere = (*READ_IN_ORDER, "docs/tutorial.md", *WHOLE_PAGES_ELSEWHERE)
    left = {block.page for page in pages() for block in blocks(page) if block.language in RUN and not block.excuse}
    assert [page for page in sorted(left) if not page.startswith(somewhere)] == []


def test_a_python_block_that_only_defines_is_a_file():
    """Else later blocks would use names that a reader has nowhere."""
    for page in pages():
        for block in runnable(page):
            if block.language == "python" and not block.file:
                defined = [type(part).__name__ for part in ast.parse(block.text).body]
                assert not {"FunctionDef", "ClassDef"} & set(defined), f"{block} defines; name the file it belongs in"


def test_tests_that_run_the_rest_name_these_pages():
    tests = [path for path in (REPO / "tests").rglob("test_*.py") if path.parent != Path(__file__).parent]
    for page, name in WHOLE_PAGES_ELSEWHERE.items():
        if (REPO / page).exists():
            assert any(name in test.read_text(encoding="utf-8") for test in tests), f"no test reads {page}"


def test_commands_within_the_text_exist():
    """``recobatch …`` in a sentence: the command is there, and so are its options."""
    found = list(_commands_within_text())
    assert len(found) > 10
    for where, command in found:
        name, *rest = [word for word in shlex.split(command) if word not in {"…", "..."}][1:] or ["--help"]
        if name.startswith("-"):
            continue
        assert name in cli.commands, f"{where}: {command}"
        known = {option for parameter in cli.commands[name].params for option in parameter.opts} | {"--help"}
        for option in (word.partition("=")[0] for word in rest if word.startswith("-")):
            assert option in known, f"{where}: {command}"


def _commands_within_text():
    for page in pages():
        for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
            for child in token.children or ():
                if child.type == "code_inline" and re.match(r"recobatch [a-z]", child.content):
                    yield page.relative_to(REPO), child.content.replace("\\|", "|")


def test_links_to_files_lead_somewhere():
    """The site's generator checks those among its own pages; these are for who reads them in the repository."""
    links = list(_links())
    assert len(links) > 20
    assert [str(target) for target in links if not target.exists()] == []


def _links():
    for page in (*pages(), REPO / "CONTRIBUTING.md", REPO / "SECURITY.md"):
        for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
            for child in token.children or ():
                target = child.attrGet("href") or child.attrGet("src") or ""
                if target and not re.match(r"[a-z]+:|#", target):
                    yield page.parent / target.partition("#")[0]


@pytest.mark.slow  # TensorFlow is loaded
def test_the_names_on_the_notebooks_page_exist():
    page = (REPO / "docs" / "notebook.md").read_text(encoding="utf-8")
    names = re.findall(r"`(recobatch(?:\.\w+)+)", page)
    assert len(names) > 8
    for module, _, name in (each.rpartition(".") for each in names):
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_the_readme_is_short():
    page = (REPO / "README.md").read_text(encoding="utf-8")
    assert len(page.split()) <= 1000
