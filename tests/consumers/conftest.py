"""A published table as consumers meet it, and what they ought to find in it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recobatch.score import ScoreOptions, score_block
from recobatch.table import PredictionTable
from tests.small_table import make_ids, make_model, make_rated, publish, write_inputs

N_USERS, N_ITEMS = 90, 70


@dataclass(frozen=True)
class Expected:
    """The truth, computed without parquet."""

    root: Path
    user_ids: list[int]
    item_ids: list[int]
    predictions: dict[str, np.ndarray]
    """Per version of the champion, shape ``(n_users, n_items)``."""
    rated: np.ndarray

    def checksum(self, version: str) -> tuple[int, int, int, float]:
        """Rows, sum of user ids, sum of item ids, sum of predictions rounded to hundredths."""
        values = self.predictions[version].astype(np.float64)
        users, items = sum(self.user_ids) * N_ITEMS, sum(self.item_ids) * N_USERS
        return values.size, users, items, round(float(values.sum()), 2)

    def top(self, version: str, user: int, k: int) -> list[tuple[int, float]]:
        """Best unseen items of a user: item id and prediction; ties in the order of the ids."""
        row = self.user_ids.index(user)
        unseen = [i for i in range(N_ITEMS) if not self.rated[row, i]]
        best = sorted(unseen, key=lambda i: (-self.predictions[version][row, i], i))[:k]
        return [(self.item_ids[i], float(self.predictions[version][row, i])) for i in best]


@pytest.fixture(scope="session")
def expected(tmp_path_factory) -> Expected:
    """Versions v1 and v2 of models ``bias`` and ``plain``, several files each; ``plain`` of v2 is current."""
    folder = tmp_path_factory.mktemp("consumers")
    users, items = make_ids(N_USERS), make_ids(N_ITEMS)
    titles = pa.table({"item_id": items.ids, "title": [f"Film {n}" for n in range(N_ITEMS)]})
    predictions = {}
    for version, seed in (("v1", 1), ("v2", 2)):
        model = make_model(N_USERS, N_ITEMS, seed=seed)
        inputs = write_inputs(folder / version, model, users=users, items=items)
        options = ScoreOptions(rows_per_shard=1200, rows_per_group=600)
        publish(PredictionTable(folder / "predictions"), version, inputs, names=("bias", "plain"), options=options,
                top=10, titles=titles)  # fmt: skip
        predictions[version] = score_block(model, slice(0, N_USERS))
    rated = make_rated(N_USERS, N_ITEMS).mask(slice(0, N_USERS))
    return Expected(folder / "predictions", users.ids.to_pylist(), items.ids.to_pylist(), predictions, rated)
