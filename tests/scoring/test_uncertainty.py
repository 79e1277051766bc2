"""What is published of users and items, and the column of sds that follows from it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.errors import BadSettings
from recobatch.rated import RatedPairs
from recobatch.scoring.predictions import ScoreOptions, score_shard
from recobatch.scoring.uncertainty import current_calibration, extend_calibration, item_table, user_table
from tests.support.small_table import make_calibration, make_ids, make_model, make_rated, write_inputs

N_USERS, N_ITEMS = 30, 20


@pytest.fixture
def inputs(tmp_path):
    calibration = make_calibration(N_USERS, N_ITEMS)
    return write_inputs(tmp_path / "in", make_model(N_USERS, N_ITEMS), calibration=calibration)


def test_tables_of_users_and_items(inputs):
    loaded, rated = inputs.load(), make_rated(N_USERS, N_ITEMS)
    calibration = current_calibration(inputs, loaded)
    titles = pa.table({"item_id": ["13", "10", "999"], "title": ["Heat", "Alien", "Unknown"]})
    users, items = user_table(loaded, calibration), item_table(loaded, calibration, titles)
    assert users.column_names == ["user_id", "ratings", "sd"]
    assert users["user_id"].combine_chunks() == make_ids(N_USERS).ids
    assert users["ratings"].to_pylist() == np.diff(rated.indptr).tolist()
    np.testing.assert_array_equal(users["sd"], calibration.noise.user_sd)
    assert items.column_names == ["item_id", "title", "ratings", "sd"]
    assert items["title"].to_pylist() == ["Alien", "Heat", *[None] * (N_ITEMS - 2)]
    assert items["ratings"].to_pylist() == np.bincount(rated.item_index, minlength=N_ITEMS).tolist()
    np.testing.assert_array_equal(items["sd"], calibration.noise.item_sd)
    assert all(field.metadata[b"description"] for table in (users, items) for field in table.schema)


def test_without_a_calibration_no_sd_is_known(tmp_path):
    loaded = write_inputs(tmp_path, make_model(3, 4)).load()
    assert user_table(loaded, None)["sd"].null_count == 3
    assert item_table(loaded, None)["sd"].null_count == item_table(loaded, None)["title"].null_count == 4


def test_the_table_gets_sds_if_they_are_wanted(inputs, tmp_path):
    plain, wanted = (
        pq.read_table(
            score_shard(
                inputs, slice(3, 25), tmp_path / f"{has}.parquet", metadata={}, options=ScoreOptions(uncertainty=has)
            ).path
        )
        for has in (False, True)
    )
    assert wanted.drop_columns("sd").equals(plain)
    assert str(wanted.schema.field("sd").type) == "float"
    noise = make_calibration(N_USERS, N_ITEMS).noise
    expected = np.sqrt(noise.user_sd[3:25, None] ** 2 + noise.item_sd**2)
    np.testing.assert_allclose(wanted["sd"].to_numpy().reshape(22, N_ITEMS), expected, rtol=1e-6)


def test_sds_of_a_model_without_a_calibration_are_refused(tmp_path):
    inputs = write_inputs(tmp_path / "in", make_model(3, 4))
    with pytest.raises(BadSettings, match=r"score.uncertainty: found .* without a calibration.*train again"):
        score_shard(inputs, slice(0, 3), tmp_path / "p.parquet", metadata={}, options=ScoreOptions(uncertainty=True))


def test_a_calibration_follows_users_and_items_to_other_ids(inputs, tmp_path):
    known = inputs.load()
    rated = RatedPairs.of_pairs(np.array([0, 0, 2]), np.array([0, 1, 1]), n_users=3, n_items=2)
    users, items = (type(known.users)(pa.array(ids)) for ids in ([10, 11, 16], [13, 14]))
    extended = write_inputs(tmp_path / "now", make_model(3, 2), rated=rated, users=users, items=items).load()
    before = make_calibration(N_USERS, N_ITEMS)
    calibration = extend_calibration(before, known, extended)
    np.testing.assert_array_equal(calibration.noise.user_sd[[0, 2]], before.noise.user_sd[[0, 2]])
    assert before.noise.user_sd.min() < calibration.noise.user_sd[1] < before.noise.user_sd.max()
    assert calibration.noise.item_sd[0] == before.noise.item_sd[1]
    assert calibration.user_ratings.tolist() == [2, 0, 1]
    assert calibration.item_ratings.tolist() == [1, 2]
