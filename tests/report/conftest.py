"""A small batch: two models over 30 users and 25 items, one clearly better, two items never trained on."""

from dataclasses import replace

import numpy as np
import pytest

from recobatch.report import DataSummary, ModelResult, PublishedTable, ReportInputs, TestRows


def make_model(name, test, noise, seed):
    rng = np.random.default_rng(seed)
    prediction = np.clip(test.rating + rng.normal(0, noise, len(test.rating)), 1, 5).astype(np.float32)
    error = prediction - test.rating
    mse = float((error**2).mean())
    return ModelResult(
        name, [2.0, 1.2, 0.9], [1.8, 1.1, 1.15], prediction, rng.normal(size=(25, 4)).astype(np.float32),
        mse, mse**0.5, float(np.abs(error).mean()), 0.8, run_id="0" * 32,
    )  # fmt: skip


@pytest.fixture(scope="session")
def test_rows():
    rng = np.random.default_rng(11)
    n_rows = 600
    user, item = rng.integers(0, 30, n_rows), rng.integers(0, 25, n_rows)
    ratings_of_item = np.r_[0, 0, rng.integers(1, 60, 23)]
    return TestRows(user, item, rng.integers(1, 6, n_rows).astype(np.float32), rng.integers(5, 90, 30), ratings_of_item)


@pytest.fixture(scope="session")
def inputs(test_rows):
    models = [make_model("explicit_mf", test_rows, 1.2, 1), make_model("explicit_mf_bias", test_rows, 0.6, 2)]
    titles = [f"Film <{number}> & more" for number in range(25)]
    return ReportInputs(
        "b1", "24 November 2026", "explicit_mf_bias", models, {"global_mean": 2.0, "bias": 0.6},
        DataSummary("tiny", "tiny.csv", "ab" * 32, 3000, 30, 25, 2400, 600, 0, 48, {"duplicate pair": 7}, "q.parquet"),
        test_rows, titles,
        PublishedTable(
            "predictions", "predictions/current/champion", "v1", {"explicit_mf": 750, "explicit_mf_bias": 750}, "u'1"
        ),
        settings={"train.epochs": "3"}, command="recobatch run tiny.csv",
    )  # fmt: skip


@pytest.fixture
def changed(inputs):
    """``changed(champion=…)``: the same batch with some fields replaced."""
    return lambda **fields: replace(inputs, **fields)
