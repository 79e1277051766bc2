"""Who is in a published snapshot."""

import numpy as np
import pyarrow as pa
import pytest

from recobatch.errors import BadTable
from recobatch.factors import FactorModel
from recobatch.model_folder import LoadedModel
from recobatch.rated import RatedPairs
from recobatch.scoring.predictions import ScoreOptions, score_shard
from recobatch.scoring.top import top_shard
from recobatch.table import ModelEntry, open_table, published_items, published_users
from recobatch.vocabulary import Vocabulary

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("with_top", [True, False])
def test_users_and_items_of_earlier_releases_are_those_of_the_table(tmp_path, with_top):
    users, items = pa.array(["ann", "bob", "cy"]), pa.array([7, 9])
    model = FactorModel(np.ones((3, 1), "f4"), np.ones((2, 1), "f4"), np.zeros(3, "f4"), np.zeros(2, "f4"))
    # Bob has rated everything: the best unseen items do not know him.
    rated = RatedPairs(np.array([0, 0, 2, 2]), np.array([0, 1], "i4"), 2)
    inputs = LoadedModel(model, Vocabulary(users), Vocabulary(items), rated).save(tmp_path)
    table = open_table(tmp_path / "predictions")
    with table.lock(holder="test"):
        staging = table.stage("v1")
        everyone = slice(0, 3)
        shard = score_shard(inputs, everyone, staging.shard_path("m", 0), metadata={}, options=ScoreOptions())
        top = [top_shard(inputs, everyone, staging.top_path("m", 0), metadata={})] if with_top else []
        entry = ModelEntry("m", "run", "f", "u", "i", (shard,), tuple(top))
        snapshot = staging.publish({"m": entry}, champion="m", expected_rows=6)
    assert published_users(snapshot).to_pylist() == ["ann", "bob", "cy"]
    assert published_items(snapshot).to_pylist() == [7, 9]


@pytest.mark.parametrize("spoil", [lambda part: part.write_bytes(b"PAR1"), lambda part: part.unlink()])
@pytest.mark.parametrize(("ask", "name"), [(published_users, "users"), (published_items, "items")])
def test_a_damaged_snapshot_is_told_as_such(published, spoil, ask, name):
    spoil(published.root / "current" / f"{name}.parquet")
    with pytest.raises(BadTable, match=r"found files that cannot be read .* expected those of the manifest"):
        ask(published.current())


def test_users_and_items_are_known_without_a_look_into_the_pairs(published):
    """Of billions of pairs it would take a minute."""
    snapshot = published.current()
    before = published_users(snapshot), published_items(snapshot)
    for folder in ("table", "top"):
        for part in (published.root / "current" / folder / "model=plain").iterdir():
            part.unlink()
    assert (published_users(snapshot), published_items(snapshot)) == before
