from enum import StrEnum
from pathlib import Path

import pytest

from recobatch.tracking.params import flatten_params


def test_nested_settings_become_dotted_names():
    class Way(StrEnum):
        USER = "user"

    nested = {"train": {"epochs": 5, "l2": 1e-6, "stop": {"after": None}}, "split": {"by": Way.USER}, "path": Path("a")}
    assert flatten_params(nested) == {
        "train.epochs": "5", "train.l2": "1e-06", "train.stop.after": "None", "split.by": "user", "path": "a",
    }  # fmt: skip


def test_names_that_mlflow_refuses_are_changed():
    assert flatten_params({"a#b": {"c(d)": 1}}) == {"a_b.c_d_": "1"}


@pytest.mark.parametrize(
    ("given", "logged"),
    [
        ("s3://key:secret@bucket/ratings.csv", "s3://bucket/ratings.csv"),
        ("https://user:p@ss@host/x", "https://host/x"),
        ("https://host/r.csv?sig=abc&se=1", "https://host/r.csv"),
        ("postgresql+psycopg://me:pw@db/mlflow", "postgresql+psycopg://db/mlflow"),
        ("{'a': 'https://me:pw@host/r.csv?sig=abc'}", "{'a': 'https://host/r.csv'}"),
        ("/data/ratings.csv", "/data/ratings.csv"),
        ("why? because", "why? because"),
        ("me@example.org", "me@example.org"),
    ],
)
def test_params_hold_no_credentials(given, logged):
    assert flatten_params({"uri": given}) == {"uri": logged}
