"""What the Python interface brings along: nothing until it is used, and never Prefect or MLflow."""

import pytest

import recobatch
from tests.support.imports import modules_after

HEAVY = {"prefect", "mlflow", "tensorflow", "keras", "pandas", "polars", "matplotlib"}
FIT = """
import numpy, pyarrow, recobatch
from recobatch.models.options import ModelOptions
rng = numpy.random.default_rng(1)
user, item = numpy.nonzero(rng.random((20, 30)) < 0.5)
table = pyarrow.table({"user": user, "item": item, "rating": rng.random(len(user))})
model = recobatch.fit(table, options=ModelOptions(sweeps=10))
model.recommend(k=2), model.predict(table), model.similar_items(3), model.why(3, 3)
"""


def test_the_package_alone_imports_nothing():
    assert not modules_after("import recobatch") & (HEAVY | {"numpy", "pyarrow", "pydantic", "recobatch.api"})


@pytest.mark.process
def test_a_fit_needs_neither_prefect_nor_mlflow_nor_tensorflow():
    loaded = modules_after(FIT)
    assert "recobatch.api" in loaded
    assert not loaded & {"prefect", "mlflow", "tensorflow", "keras", "flows"}


def test_the_package_is_the_interface_and_nothing_else():
    assert set(dir(recobatch)) == {
        "PublishedTable", "Recommender", "__version__", "fit", "load", "read_table"
    }  # fmt: skip
    for name in dir(recobatch):
        assert getattr(recobatch, name) is not None
    assert not hasattr(recobatch, "train_everything")
