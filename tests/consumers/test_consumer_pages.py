"""The pages for a web application, for a warehouse and of the schema: every block gives what the table holds."""

import shlex
import sys
from contextlib import chdir

import duckdb
import pytest
from click.testing import CliRunner

from flows.cli.commands import cli
from recobatch.scoring.predictions import ScoreOptions
from recobatch.table import open_table
from tests.support.pages import runnable
from tests.support.paths import REPO
from tests.support.small_table import make_calibration, make_model, publish, write_inputs
from tests.support.snippets import Session

pytestmark = pytest.mark.slow

USER = 196


class Page:
    """Somebody who reads a page from the top, in a folder with a published table."""

    def __init__(self, name, expected, folder):
        self.folder, self.session = folder, Session()
        (folder / "predictions").symlink_to(expected.root)
        with chdir(folder), pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(folder)
            for block in runnable(REPO / "docs" / name):
                if block.file:
                    (folder / block.file).write_text(block.text)
                elif block.language == "bash":
                    for line in block.text.splitlines():
                        self.type(line)
                else:
                    self.session.run(block)
                    self.keep(block)
        sys.modules.pop("lists", None)
        self.names = self.session.names

    def type(self, line):
        program, *arguments = shlex.split(line)
        assert program == "recobatch"
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.output

    def keep(self, block):
        """Each answer of a page by the heading above it."""
        self.answers = getattr(self, "answers", {}) | {block.heading: self.session.names.get("best")}


def best(expected, k=10):
    return [(item, pytest.approx(score)) for _, item, score in expected.top("v2", USER, k)]


def test_a_web_application_finds_the_best_items_both_ways(expected, tmp_path):
    page = Page("web.md", expected, tmp_path)
    for heading in ("Memory-mapped Arrow", "DuckDB"):
        assert [item for item, _ in page.answers[heading]] == [item for item, _ in best(expected)]
    assert page.answers["Memory-mapped Arrow"] == page.answers["DuckDB"]
    assert page.names["lists"].top(197) == []
    assert page.names["lists"].top(-1) == []
    assert page.names["lists"].top(10**9) == []
    assert len(page.names["lists"].top(USER, 3)) == 3
    page.names["connection"].close()


def test_a_warehouse_reads_loads_and_follows(expected, tmp_path):
    page = Page("warehouse.md", expected, tmp_path)
    connection = page.names["connection"]
    order = "SELECT user_id, item_id, rank FROM {} ORDER BY user_id, rank"
    lists = connection.execute(order.format("lists")).fetchall()
    assert lists == connection.execute(order.format("top")).fetchall()
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as exported:
        assert exported.execute(order.format("top")).fetchall() == lists
    assert {path.name for path in tmp_path.glob("*.*")} >= {"top.csv.gz", "pairs.parquet", "changes.csv"}
    connection.close()


def test_the_sd_of_the_schema_page_is_the_one_that_the_table_can_have_as_a_column(tmp_path):
    inputs = write_inputs(tmp_path / "inputs", make_model(9, 7), calibration=make_calibration(9, 7))
    table = open_table(tmp_path / "predictions")
    snapshot = publish(table, "v1", inputs, options=ScoreOptions(uncertainty=True))
    [formula] = runnable(REPO / "docs" / "schema.md")
    with chdir(snapshot.location):
        by_formula = duckdb.sql(f"{formula.text} ORDER BY ALL").fetchall()
        in_table = duckdb.sql(
            "SELECT user_id, item_id, prediction, sd FROM 'champion/*.parquet' ORDER BY ALL"
        ).fetchall()
    assert len(in_table) == 9 * 7
    assert [(*pair, pytest.approx(sd, rel=1e-5)) for *pair, sd in in_table] == by_formula
