"""Queries that people are shown run as they are shown, whatever the ids and the path."""

import os
import shlex
import subprocess
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.table.queries import duckdb_command, duckdb_query, pandas_query, top_command

IDS = {
    "number": 7,
    "negative": -3,
    "text": "u00",
    "quote": "it's",
    "both": "a'\"b",
    "shell": "$HOME`!\\",
    "line": "a\nb",
}


@pytest.fixture(params=IDS.values(), ids=IDS.keys())
def user(request):
    return request.param


@pytest.fixture(params=["champion", "bob's $folder"])
def champion(request, tmp_path, user):
    """A table of the user and of another one, with twelve items each, the odd ones rated."""
    other = 8 if isinstance(user, int) else "other"
    items = list(range(12))
    table = pa.table({
        "user_id": [user] * 12 + [other] * 12, "item_id": items * 2, "prediction": [float(item) for item in items * 2],
        "rated": [item % 2 == 1 for item in items * 2],
    })  # fmt: skip
    folder = tmp_path / request.param
    folder.mkdir()
    pq.write_table(table, folder / "part-00000.parquet")
    return str(folder)


def test_duckdb_answers(champion, user):
    best = duckdb.sql(duckdb_query(champion, user)).fetchall()
    assert [item for item, _ in best] == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]
    assert [item for item, _ in duckdb.sql(duckdb_query(champion, user, unseen_only=True)).fetchall()] == [
        10, 8, 6, 4, 2, 0,
    ]  # fmt: skip


def test_the_shell_hands_duckdb_the_same_query(champion, user, tmp_path, monkeypatch):
    """Run by a real shell, whose ``duckdb`` writes down the query and the folder that it is asked in."""
    link = tmp_path / "current link"
    link.symlink_to(champion)
    asked = tmp_path / "bin" / "duckdb"
    asked.parent.mkdir()
    asked.write_text(f'#!/bin/sh\npwd > {tmp_path}/folder\nprintf %s "$2" > {tmp_path}/query\n')
    asked.chmod(0o755)
    environment = {**os.environ, "PATH": f"{asked.parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", duckdb_command(str(link), user)], check=True, env=environment)
    assert (tmp_path / "folder").read_text().strip() == champion  # resolved before anything is read
    monkeypatch.chdir(champion)
    assert len(duckdb.sql((tmp_path / "query").read_text()).fetchall()) == 10


def test_pandas_answers(champion, user):
    names = {"pd": pd, "Path": Path}
    assert eval(pandas_query(champion, user), names)["item_id"].tolist() == list(range(12))


def test_usual_ones_read_well():
    assert duckdb_command("predictions/current/champion", 1) == (
        "(cd -P predictions/current/champion && duckdb -c \"SELECT item_id, prediction FROM '*.parquet' "
        'WHERE user_id = 1 ORDER BY prediction DESC LIMIT 10")'
    )
    assert duckdb_command("s3://b/t/model=m", 1).startswith("duckdb -c \"SELECT item_id, prediction FROM 's3://b/t/mod")
    assert pandas_query("p", "u1") == 'pd.read_parquet(Path("p").resolve(), filters=[("user_id", "==", "u1")])'
    assert pandas_query("s3://b/p", 1) == 'pd.read_parquet("s3://b/p", filters=[("user_id", "==", 1)])'


@pytest.mark.parametrize(
    ("user", "table", "words"),
    [
        (1, "predictions", ["1"]),
        ("two words", "predictions", ["two words"]),
        (-3, "my table", ["--table", "my table", "--", "-3"]),
    ],
)
def test_top_is_asked_of_the_same_table(user, table, words):
    assert shlex.split(top_command(user, table)) == ["recobatch", "top", *words]
