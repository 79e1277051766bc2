"""A published table as consumers meet it, and what they ought to find in it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recobatch.scoring.predictions import ScoreOptions, score_block
from recobatch.table import open_table
from tests.support.small_table import N_ITEMS, N_USERS, make_ids, make_model, make_rated, score_into, write_inputs

MODELS = ("explicit_mf", "explicit_mf_bias")
"""The last is the champion."""


@dataclass(frozen=True)
class Expected:
    """The truth, computed without parquet."""

    root: Path
    user_ids: list[int]
    item_ids: list[int]
    predictions: dict[tuple[str, str], np.ndarray]
    """By version and model, shape ``(n_users, n_items)``."""
    rated: np.ndarray

    def whole(self, version: str) -> list[tuple]:
        """Every row of the champion: user, item, prediction, rated."""
        predictions = self.predictions[version, MODELS[-1]]
        return [
            (user, item, float(predictions[u, i]), bool(self.rated[u, i]))
            for u, user in enumerate(self.user_ids)
            for i, item in enumerate(self.item_ids)
        ]

    def top(self, version: str, user: int, k: int) -> list[tuple[int, int, float]]:
        """Best unseen items of a user: user, item, prediction; ties in the order of the ids."""
        row, predictions = self.user_ids.index(user), self.predictions[version, MODELS[-1]]
        unseen = [i for i in range(N_ITEMS) if not self.rated[row, i]]
        best = sorted(unseen, key=lambda i: (-predictions[row, i], i))[:k]
        return [(user, self.item_ids[i], float(predictions[row, i])) for i in best]

    def pair(self, version: str, user: int, item: int) -> list[tuple[str, float]]:
        """Both models' predictions."""
        place = self.user_ids.index(user), self.item_ids.index(item)
        return [(name, float(self.predictions[version, name][place])) for name in MODELS]


@pytest.fixture(scope="session")
def expected(tmp_path_factory) -> Expected:
    """Versions v1 and v2 of two models, several files each; v2 is current."""
    folder = tmp_path_factory.mktemp("consumers")
    users, items = make_ids(N_USERS), make_ids(N_ITEMS)
    titles = pa.table({"item_id": items.ids, "title": [f"Film {n}" for n in range(N_ITEMS)]})
    options = ScoreOptions(rows_per_shard=1200, rows_per_group=600)
    table = open_table(folder / "predictions")
    predictions = {}
    for number, version in enumerate(("v1", "v2")):
        with table.lock(holder=version):
            staging, entries = table.stage(version), {}
            for seed, name in enumerate(MODELS, start=2 * number + 1):
                model = make_model(N_USERS, N_ITEMS, seed=seed)
                inputs = write_inputs(folder / version / name, model, users=users, items=items)
                entries[name] = score_into(staging, name, inputs, options=options, top=10)
                predictions[version, name] = score_block(model, slice(0, N_USERS))
            staging.publish(entries, champion=MODELS[-1], expected_rows=N_USERS * N_ITEMS, titles=titles)
    rated = make_rated(N_USERS, N_ITEMS).mask(slice(0, N_USERS))
    return Expected(folder / "predictions", users.ids.to_pylist(), items.ids.to_pylist(), predictions, rated)
