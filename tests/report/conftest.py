"""A small batch: two models over 30 users and 25 items, one clearly better, two items never trained on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recobatch.ingest import IngestReport
from recobatch.interactions import EncodedInteractions, Split
from recobatch.report import ModelResult, PublishedTable, ReportInputs


def make_rows(rng, user_index, item_index):
    rating = rng.integers(1, 6, len(user_index)).astype(np.float32)
    return EncodedInteractions(user_index, item_index, rating, np.full(len(rating), -1), 30, 25)


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
def split():
    """600 test rows; items 0 and 1 are not in train, the others have up to 60 ratings there, users about 20."""
    rng = np.random.default_rng(11)
    test = make_rows(rng, rng.integers(0, 30, 600), rng.integers(0, 25, 600))
    item = np.repeat(np.arange(2, 25), rng.integers(1, 60, 23))
    return Split(make_rows(rng, rng.integers(0, 30, len(item)), item), test)


@pytest.fixture(scope="session")
def inputs(split):
    models = [make_model("explicit_mf", split.test, 1.2, 1), make_model("explicit_mf_bias", split.test, 0.6, 2)]
    ingest = IngestReport(
        rows=3007, ratings=3000, quarantined=7, reasons={"duplicate pair": 7, "empty id": 0},
        ratings_path=Path("ratings.parquet"), quarantine_path=Path("q.parquet"), columns={}, rating_min=1, rating_max=5,
        fingerprint="ab" * 32,
    )  # fmt: skip
    rows = {"explicit_mf": 750, "explicit_mf_bias": 750}
    return ReportInputs(
        batch_id="b1", created="24 November 2026", champion="explicit_mf_bias", models=models,
        baselines={"global_mean": 2.0, "bias": 0.6}, data_name="tiny", data_source="tiny.csv", ingest=ingest,
        split=split, item_titles=[f"Film <{number}> & more" for number in range(25)],
        table=PublishedTable("predictions", "predictions/current/champion", "v1", rows, "u'1"),
        settings={"train.epochs": "3"}, command="recobatch run tiny.csv", code_version="1.2.3",
    )  # fmt: skip


@pytest.fixture
def changed(inputs):
    """``changed(champion=…)``: the same batch with some fields replaced."""
    return lambda **fields: replace(inputs, **fields)
