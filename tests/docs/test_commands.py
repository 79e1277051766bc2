"""Every command and snippet of README and docs runs, in one project folder, in the order of the pages."""

import csv
import gzip
import os
import subprocess
import sys
from contextlib import chdir
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from flows.settings.load import load_settings
from recobatch.table import open_table
from tests.support.fork_server import forked_command
from tests.support.pages import READ_IN_ORDER, RUN_ELSEWHERE, Block, runnable
from tests.support.paths import REPO
from tests.support.snippets import Session

# A page is one test with many commands, and a busy machine takes minutes for one.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


class Shell:
    """Somebody at a terminal in the project folder, with a forked ``recobatch`` and the environment on the path."""

    def __init__(self, folder: Path, commands: Path, api_url: str) -> None:
        self.folder = folder
        (folder / ".venv").symlink_to(sys.prefix)
        self.environment = os.environ | {
            "PATH": os.pathsep.join([str(commands), str(Path(sys.prefix, "bin")), os.environ["PATH"]]),
            "PREFECT_API_URL": api_url,
            "RECOBATCH_MODEL__SWEEPS": "40",  # not 450, as so few ratings deserve: the pages state no figures
        }
        self.typed: set[str] = set()

    def read(self, page: Path) -> None:
        """Run a page from top to bottom, but for what an earlier page had word for word.

        What is a file's content is saved and not run: a later block has of it what it imports.
        """
        session = Session()
        for block in runnable(page):
            if (block.page, block.heading) in RUN_ELSEWHERE:
                continue
            if block.file:
                (self.folder / block.file).write_text(block.text)
            elif block.language == "bash":
                self.run(block, block.text)
            elif block.language == "console":
                self.compare(block)
            elif block.language == "toml":
                (self.folder / "shown.toml").write_text(block.text)
                load_settings(toml=self.folder / "shown.toml")
            else:
                with chdir(self.folder), pytest.MonkeyPatch.context() as patch:
                    patch.syspath_prepend(self.folder)  # as of an interpreter that is started there
                    session.run(block)

    def run(self, block: Block, command: str) -> str:
        plain = command.replace(".venv/bin/", "")
        if block.language == "bash" and plain in self.typed:
            return ""
        self.typed.add(plain)
        options = "-euo" if block.language == "bash" else "-uo"
        done = subprocess.run(
            ["bash", options, "pipefail", "-c", command], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}: {command}\n{done.stdout}"
        return done.stdout

    def compare(self, block: Block) -> None:
        """Run each line after ``$`` and hold what it prints to the lines below, where ``...`` is anything."""
        for part in block.text.removeprefix("$ ").split("\n$ "):
            command, _, wanted = part.partition("\n")
            found = self.run(block, command)
            wanted = wanted.rstrip("\n") + "\n"
            assert OutputChecker().check_output(wanted, found, ELLIPSIS), f"{block}: {command}\n{found}"


@pytest.fixture(scope="module")
def shell(tmp_path_factory, prefect_api):
    """The folder that the tutorial leaves, and what the other pages take for granted."""
    commands = tmp_path_factory.mktemp("commands")
    forked_command(commands)
    shell = Shell(tmp_path_factory.mktemp("reader"), commands, prefect_api)
    shell.read(REPO / "docs" / "tutorial.md")
    ratings = shell.folder / "ratings.csv"
    with gzip.open(ratings.with_suffix(".csv.gz"), "wb") as file:
        file.write(ratings.read_bytes())
    (shell.folder / "ratings").mkdir()
    (shell.folder / "ratings" / "part-0.csv").write_bytes(ratings.read_bytes())
    orders = pyarrow.csv.read_csv(ratings).rename_columns(["customer", "sku", "stars", "bought"])
    pq.write_table(orders, shell.folder / "orders.parquet")
    return shell


@pytest.mark.long
def test_the_tutorial_ends_where_it_says(shell):
    table = open_table(shell.folder / "predictions")
    first, second = table.snapshots()
    assert table.current().version == first.version
    with (shell.folder / "ratings.csv").open() as file:
        assert len({row["user_id"] for row in csv.DictReader(file)}) == 1000
    rows = dict.fromkeys(("explicit_mf", "explicit_mf_bias"), 300_000)
    assert (first.rows, second.rows) == (rows, rows | {"bayesian_mf": 300_000})
    assert second.champion == "bayesian_mf"


@pytest.mark.long
@pytest.mark.parametrize("page", READ_IN_ORDER)
def test_a_page_runs_from_top_to_bottom(shell, page):
    shell.read(REPO / page)
