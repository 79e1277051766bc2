"""Every snippet of the pages about querying runs, and all five tools give the answers that were computed."""

import os
import re
import shutil
from collections import defaultdict
from contextlib import chdir
from dataclasses import replace

import pytest

from recobatch.table import open_table
from tests.support.pages import blocks
from tests.support.paths import REPO
from tests.support.small_table import N_ITEMS, N_USERS
from tests.support.snippets import Session, rows_of

TOOLS = ("pandas", "polars", "duckdb", "pyarrow", "spark")
MARKS = dict(zip(TOOLS, ("pandas", "polars", "-- DuckDB", "pyarrow.dataset", "pyspark"), strict=True))
"""A part of each tool's snippet in the README."""
USER, ITEM = 196, 100
"""Of whom the pages ask."""

# Said by Spark 4 at its start; the pages hand nothing over to pandas.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]


class Reader:
    """Somebody who reads a tool's page from the top, and runs what it shows."""

    def __init__(self, tool, expected):
        self.tool, self.session, self.folder = tool, Session(), expected.root.parent
        self.blocks = defaultdict(list)
        for block in blocks(REPO / "docs" / "query" / f"{tool}.md"):
            self.blocks[block.heading].append(block)
        self.answers = {heading: self.ask(heading) for heading in self.blocks if heading != "Pin a version"}

    def ask(self, heading, part=slice(None)):
        """The rows that each block below a heading gives."""
        with chdir(self.folder):
            return [rows_of(self.session.run(block)) for block in self.blocks[heading][part]]


@pytest.fixture(scope="module", params=TOOLS)
def reader(request, expected):
    if request.param == "spark":
        with pytest.MonkeyPatch.context() as patch:
            keep_spark_small(patch)
            reader = Reader("spark", expected)
            yield reader
            stop(reader.session.names["spark"])
    else:
        yield Reader(request.param, expected)


def keep_spark_small(patch):
    """Let Spark start in one thread, and listen to nobody but this machine."""
    pytest.importorskip("pyspark", reason="no pyspark: make long installs it")
    if not shutil.which("java") and "JAVA_HOME" not in os.environ:
        pytest.skip("no Java, which Spark needs: apt-get install default-jre-headless")
    patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    options = ("master=local[1]", "ui.enabled=false", "sql.shuffle.partitions=1", "log.level=ERROR")
    quick_start = '--driver-java-options "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"'  # it ends before the JIT pays off
    given = " ".join(f"--conf spark.{option}" for option in options)
    patch.setenv("PYSPARK_SUBMIT_ARGS", f"{quick_start} {given} pyspark-shell")


def stop(spark):
    """End Spark and its Java process, which would otherwise live as long as the tests."""
    gateway = spark.sparkContext._gateway
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait(timeout=60)


VIEWS = {"duckdb": "views.sql", "spark": "views.spark.sql"}


def test_every_page_asks_the_same_questions_in_the_same_order():
    asked = [[b.heading for b in blocks(REPO / "docs" / "query" / f"{tool}.md")] for tool in TOOLS]
    shared = set(asked[0]).intersection(*asked)
    assert len(shared) == 7
    assert len({tuple(heading for heading in dict.fromkeys(headings) if heading in shared) for headings in asked}) == 1


def test_the_whole_table(reader, expected):
    (rows,) = reader.answers["The whole table"]
    assert len(rows) == len(expected.user_ids) * len(expected.item_ids)
    assert sorted(rows) == expected.whole("v2")
    assert {tuple(type(value) for value in row) for row in rows} == {(int, int, float, bool)}


@pytest.mark.parametrize("reader", list(VIEWS), indirect=True, scope="module")
def test_the_views_of_a_version_run_as_they_stand(reader, expected):
    lines = (expected.root / "current" / VIEWS[reader.tool]).read_text().splitlines()
    ask = reader.session.database.execute if reader.tool == "duckdb" else reader.session.names["spark"].sql
    for statement in filter(str.strip, "\n".join(line for line in lines if not line.startswith("--")).split(";")):
        ask(statement)

    def rows(question):
        asked = ask(question)
        return [tuple(row) for row in (asked.fetchall() if reader.tool == "duckdb" else asked.collect())]

    assert sorted(rows("SELECT user_id, item_id, prediction, rated FROM champion")) == expected.whole("v2")
    assert rows("SELECT count(*), count(DISTINCT model) FROM predictions") == [(2 * N_USERS * N_ITEMS, 2)]
    assert rows(f"SELECT user_id, item_id, prediction FROM top WHERE user_id = {USER} ORDER BY rank") == expected.top(
        "v2", USER, 10
    )
    assert rows("SELECT count(title) FROM titles") == [(N_ITEMS,)]
    ((entered, left),) = rows("SELECT count(rank), count(rank_before) FROM changes WHERE change <> 'moved'")
    assert entered == left > 0


def test_one_user(reader, expected):
    (rows,) = reader.answers["One user"]
    assert rows == [row[1:] for row in expected.whole("v2") if row[0] == USER]


@pytest.mark.parametrize("reader", ["duckdb", "polars"], indirect=True, scope="module")
def test_one_user_in_the_file_that_has_it(reader, expected):
    """Each user of the table, and one that it does not have."""
    (_, look_up) = reader.blocks["One user, many times"]
    for wanted in [*expected.user_ids, 10**9]:
        asked = replace(look_up, text=look_up.text.replace(str(USER), str(wanted)))
        with chdir(reader.folder):
            rows = rows_of(reader.session.run(asked))
        assert rows == [row[1:] for row in expected.whole("v2") if row[0] == wanted]


def test_the_best_unseen_items_of_every_user_ready_made_and_computed(reader, expected):
    ready, computed = reader.answers["The ten best unseen items of every user"]
    assert ready == computed == [row for user in expected.user_ids for row in expected.top("v2", user, 10)]


def test_with_titles(reader, expected):
    (rows,) = reader.answers["With titles"]
    titles = {item: f"Film {number}" for number, item in enumerate(expected.item_ids)}
    assert rows == [(item, titles[item], prediction) for _, item, prediction in expected.top("v2", USER, 10)]


def test_both_models_of_a_pair(reader, expected):
    (rows,) = reader.answers["Both models' predictions of a pair"]
    assert sorted(rows) == expected.pair("v2", USER, ITEM)


def test_the_readme_asks_the_same(reader, expected):
    """The README shows one of the tools; the others answer the same question on their own pages."""
    snippets = [block for block in blocks(REPO / "README.md") if block.heading == "Reading the table"]
    shown = {tool: block for tool, mark in MARKS.items() for block in snippets if mark in block.text}
    assert sorted(shown) == ["pandas"]
    if reader.tool in shown:
        with chdir(reader.folder):
            rows = rows_of(reader.session.run(shown[reader.tool]))
        assert sorted(rows) == sorted((*row, False) for row in expected.top("v2", USER, 10))


def test_current_is_followed_and_a_pinned_version_stays(reader, expected):
    assert sorted(reader.answers["Follow the current version"][-1]) == expected.whole("v2")
    note, read = slice(0, 1), slice(1, 2)
    reader.ask("Pin a version", note)
    table = open_table(expected.root)
    table.rollback("v1")
    try:
        assert sorted(reader.ask("Pin a version", read)[0]) == expected.whole("v2") != expected.whole("v1")
        assert sorted(reader.ask("Follow the current version")[-1]) == expected.whole("v1")
    finally:
        table.rollback("v2")


def test_every_snippet_resolves_the_version_once():
    """Neither a page nor the README reads through the link: a file may be gone between listing and opening it."""
    for page in (REPO / "README.md", *(REPO / "docs" / "query").glob("*.md")):
        for block in blocks(page):
            for line in block.text.splitlines():
                if block.language in {"python", "sql"} and "predictions/current" in line:
                    assert "resolve()" in line or "current.json" in line, f"{block}: {line}"


@pytest.mark.parametrize("reader", ["polars", "pyarrow", "spark"], indirect=True)
def test_what_is_read_lazily_stays_at_the_version_that_was_resolved(reader, expected):
    table = open_table(expected.root)
    table.rollback("v1")
    try:
        with chdir(reader.folder):
            champion = reader.session.names["champion"]
            rows = rows_of(champion.collect() if reader.tool == "polars" else _whole(champion))
    finally:
        table.rollback("v2")
    assert sorted(rows) == expected.whole("v2")


def _whole(champion):
    return champion.to_table() if hasattr(champion, "to_table") else champion


@pytest.mark.parametrize("reader", ["pyarrow", "spark"], indirect=True)
def test_what_was_made_through_the_link_fails_after_a_publish_and_is_never_a_mixture(reader, expected):
    import pyarrow.dataset as ds

    table = open_table(expected.root)
    with chdir(reader.folder):
        read = reader.session.names["spark"].read.parquet if reader.tool == "spark" else ds.dataset
        champion = read("predictions/current/champion")
        table.rollback("v1")
        try:
            with pytest.raises(Exception, match=r"part-\d{5}-v2\.parquet"):
                champion.head(N_USERS * N_ITEMS)
        finally:
            table.rollback("v2")


def test_the_folder_of_a_snapshot_is_no_table_and_every_tool_says_what_the_page_says(expected):
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow.dataset as ds

    page = (REPO / "docs" / "query" / "index.md").read_text(encoding="utf-8")
    reads = {
        "Could not open Parquet input source 'predictions/current/manifest.json'": pd.read_parquet,
        "input source 'predictions/current/manifest.json'": lambda path: ds.dataset(path, format="parquet").to_table(),
        "directory contained paths with different file extensions": pl.read_parquet,
        "Table with name predictions/current does not exist!": lambda path: duckdb.sql(f"FROM '{path}'"),
    }
    for words, read in reads.items():
        assert words in page
        with chdir(expected.root.parent), pytest.raises(Exception, match=re.escape(words)):
            read("predictions/current")
