"""Shards hold every pair exactly once, with the model's own numbers, whichever way they are cut."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recobatch.errors import BadTable, RecobatchError
from recobatch.factors import Link
from recobatch.scoring.predictions import ScoreOptions, plan_shards, score_block, score_shard
from recobatch.vocabulary import Vocabulary
from tests.support.small_table import make_ids, make_model, make_rated, write_inputs

META = {"version": "v1", "model": "plain", "mlflow_run_id": "abc"}


@pytest.fixture
def model():
    return make_model(50, 30)


@pytest.fixture
def inputs(tmp_path, model):
    return write_inputs(tmp_path / "inputs", model)


@given(st.integers(1, 5000), st.integers(1, 3000), st.integers(1, 10**6), st.integers(1, 10**5))
def test_plan_covers_every_user_once(n_users, n_items, rows_per_shard, rows_per_group):
    options = ScoreOptions(rows_per_shard=rows_per_shard, rows_per_group=rows_per_group)
    plan = plan_shards(n_users, n_items, options)
    assert [user for users in plan for user in range(users.start, users.stop)] == list(range(n_users))
    assert all(users.start % 8 == 0 for users in plan)


def test_plan_makes_shards_of_about_the_size_asked_for():
    plan = plan_shards(71_567, 10_681, ScoreOptions())
    rows = [(users.stop - users.start) * 10_681 for users in plan]
    assert all(0.9 * 33_554_432 < n <= 33_554_432 for n in rows[:-1])
    assert sum(rows) == 764_407_127


@pytest.mark.parametrize(("n_users", "n_items", "shards"), [(943, 1682, 1), (6040, 3706, 4), (162_541, 59_047, 73)])
def test_plan_lets_the_cores_share_a_table_of_any_size(n_users, n_items, shards):
    plan = plan_shards(n_users, n_items, ScoreOptions())
    assert len(plan) == shards


def test_a_large_table_has_fewer_and_larger_files_and_row_groups():
    assert ScoreOptions().sizes(2_000_000_000) == (33_554_432, 1_048_576)
    assert ScoreOptions().sizes(4_294_967_296) == (67_108_864, 2_097_152)
    assert ScoreOptions().sizes(10**12) == (134_217_728, 4_194_304)
    assert ScoreOptions(rows_per_shard=70, rows_per_group=30).sizes(10**12) == (70, 30)


def test_every_pair_once_sorted_with_the_models_numbers(tmp_path, model, inputs):
    report = score_shard(inputs, slice(0, 50), tmp_path / "part.parquet", metadata=META, options=ScoreOptions())
    table = pq.read_table(report.path)
    assert table.schema.names == ["user_id", "item_id", "prediction", "rated"]
    assert [str(t) for t in table.schema.types] == ["int64", "int64", "float", "bool"]
    users, items = np.divmod(np.arange(1500), 30)
    assert table["user_id"].combine_chunks() == make_ids(50).decode(users)
    assert table["item_id"].combine_chunks() == make_ids(30).decode(items)
    np.testing.assert_allclose(table["prediction"].to_numpy(), model.predict_pairs(users, items), atol=1e-5)
    assert np.array_equal(table["rated"].to_numpy(), make_rated(50, 30).mask(slice(0, 50)).ravel())
    assert {META[key.decode()] for key in table.schema.metadata if key.decode() in META} == set(META.values())


def test_report_tells_the_truth(tmp_path, inputs):
    report = score_shard(inputs, slice(8, 40), tmp_path / "part.parquet", metadata=META, options=ScoreOptions())
    content, predictions = report.path.read_bytes(), pq.read_table(report.path)["prediction"].to_numpy()
    assert (report.rows, report.bytes, report.sha256) == (960, len(content), hashlib.sha256(content).hexdigest())
    assert (report.first_user, report.last_user, report.non_finite) == (8, 39, 0)
    assert (report.min_prediction, report.max_prediction) == (predictions.min(), predictions.max())
    assert report.total == pytest.approx(predictions.sum(dtype=float), rel=1e-5)
    deviations = np.square(predictions - predictions.mean(dtype=float), dtype=float).sum()
    assert report.squared_deviations == pytest.approx(deviations, rel=1e-5)


@pytest.mark.parametrize(
    ("rows_per_shard", "rows_per_group"), [(1, 1), (240, 30), (700, 100), (10**6, 31), (10**6, 10**6)]
)
def test_predictions_do_not_depend_on_the_shard_size(tmp_path, model, inputs, rows_per_shard, rows_per_group):
    options = ScoreOptions(rows_per_shard=rows_per_shard, rows_per_group=rows_per_group)
    parts = [
        score_shard(inputs, users, tmp_path / f"{n}.parquet", metadata=META, options=options)
        for n, users in enumerate(plan_shards(50, 30, options))
    ]
    table = pa.concat_tables([pq.read_table(part.path) for part in parts])
    assert np.array_equal(table["prediction"].to_numpy(), score_block(model, slice(0, 50)).ravel())
    assert table["user_id"].combine_chunks() == make_ids(50).decode(np.repeat(np.arange(50), 30))


def test_threads_and_repeats_give_the_same_bytes(tmp_path, inputs):
    def score(n):
        return score_shard(
            inputs, slice(0, 50), tmp_path / f"{n}.parquet", metadata=META, options=ScoreOptions()
        ).sha256

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(score, range(8)))) == 1


def test_row_groups_hold_whole_users(tmp_path, inputs):
    options = ScoreOptions(rows_per_group=250)
    report = score_shard(inputs, slice(0, 50), tmp_path / "part.parquet", metadata=META, options=options)
    groups = pq.read_metadata(report.path)
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [240] * 6 + [60]


def test_row_groups_of_a_product_and_more_are_whole_products(tmp_path):
    """Or a row group ends with every product, and half of them are half as large."""
    inputs, options = write_inputs(tmp_path / "inputs", make_model(600, 30)), ScoreOptions(rows_per_group=4100)
    report = score_shard(inputs, slice(128, 600), tmp_path / "part.parquet", metadata=META, options=options)
    groups = pq.read_metadata(report.path)
    assert [groups.row_group(n).num_rows for n in range(groups.num_row_groups)] == [3840] * 3 + [2640]
    assert all(users.start % 128 == 0 for users in plan_shards(600, 30, options))


def test_more_items_than_a_row_group_holds(tmp_path):
    inputs = write_inputs(tmp_path / "inputs", make_model(9, 700))
    report = score_shard(inputs, slice(0, 9), tmp_path / "part.parquet", metadata=META,
                         options=ScoreOptions(rows_per_group=300))  # fmt: skip
    assert report.rows == pq.read_table(report.path).num_rows == 6300
    groups = pq.read_metadata(report.path)
    assert max(groups.row_group(n).num_rows for n in range(groups.num_row_groups)) <= 300


def test_text_ids_stay_text(tmp_path):
    inputs = write_inputs(
        tmp_path / "in", make_model(20, 11), users=make_ids(20, text=True), items=make_ids(11, text=True)
    )
    report = score_shard(inputs, slice(0, 20), tmp_path / "part.parquet", metadata=META, options=ScoreOptions())
    table = pq.read_table(report.path)
    assert [str(t) for t in table.schema.types[:2]] == ["string", "string"]
    assert table["item_id"].to_pylist() == make_ids(11, text=True).ids.to_pylist() * 20


def test_predictions_that_are_no_number_are_counted(tmp_path):
    model = replace(make_model(9, 4, link=Link.IDENTITY), min_rating=0.0, max_rating=0.0)  # a range clips infinity
    model.user_bias[[2, 5]] = np.nan, np.inf
    report = score_shard(write_inputs(tmp_path / "in", model), slice(0, 9), tmp_path / "p.parquet", metadata=META,
                         options=ScoreOptions())  # fmt: skip
    assert report.non_finite == 8
    assert np.isfinite([report.min_prediction, report.max_prediction, report.total]).all()


@pytest.mark.parametrize("users", [slice(0, 0), slice(-1, 4), slice(40, 51), slice(0, 50, 2)])
def test_a_range_outside_the_model_is_refused(tmp_path, inputs, users):
    with pytest.raises(IndexError, match=r"expected a range within \[0, 50\)"):
        score_shard(inputs, users, tmp_path / "part.parquet", metadata=META, options=ScoreOptions())
    assert not list(tmp_path.glob("*.parquet"))


def test_block_outside_the_model_is_refused(model):
    with pytest.raises(IndexError, match="found users"):
        score_block(model, slice(10, 51))


def test_inputs_of_two_trainings_are_refused(tmp_path, model, inputs):
    make_ids(49).save(inputs.users)
    with pytest.raises(BadTable, match=r"factors\.npz: found 50 users and 30 items, expected 49 and 30"):
        score_shard(inputs, slice(0, 49), tmp_path / "part.parquet", metadata=META, options=ScoreOptions())


def test_changed_inputs_are_read_again(tmp_path, inputs):
    def score():
        return score_shard(inputs, slice(0, 50), tmp_path / "p.parquet", metadata=META, options=ScoreOptions()).sha256

    first = score()
    write_inputs(tmp_path / "inputs", make_model(50, 30, seed=9))
    assert score() != first


def test_missing_inputs_say_which(tmp_path, inputs):
    inputs.rated.unlink()
    with pytest.raises(BadTable, match=r"rated.npz: found no readable file \(No such file"):
        inputs.load()


def test_no_folder_to_write_to(tmp_path, inputs):
    with pytest.raises(RecobatchError, match=r"refused to write the shard .No such file or directory.*run again"):
        score_shard(inputs, slice(0, 8), tmp_path / "gone" / "p.parquet", metadata=META, options=ScoreOptions())


def test_options_are_checked():
    with pytest.raises(ValidationError, match="rows_per_shard"):
        ScoreOptions(rows_per_shard=0)
    with pytest.raises(ValidationError, match="surprise"):
        ScoreOptions(surprise=1)


@pytest.mark.process
def test_scoring_needs_no_heavy_import():
    heavy = ["tensorflow", "keras", "mlflow", "prefect", "pandas", "matplotlib", "scipy"]
    code = (
        "import recobatch.scoring.predictions, recobatch.scoring.top, recobatch.table, sys; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_movielens_has_1586126_pairs(tmp_path, ml100k_dir):
    """The notebook's GetPredictions: every one of 943 users with every one of 1682 items, once."""
    raw = np.loadtxt(ml100k_dir / "u.data", dtype=np.int64)
    users, items = Vocabulary.build(pa.array(raw[:, 0])), Vocabulary.build(pa.array(raw[:, 1]))
    rated = np.zeros((943, 1682), dtype=bool)
    rated[users.encode(pa.array(raw[:, 0])), items.encode(pa.array(raw[:, 1]))] = True
    indptr = np.concatenate([[0], np.cumsum(rated.sum(axis=1))])
    model = make_model(943, 1682, n_factors=50)
    pairs = type(make_rated(1, 1))(indptr, np.nonzero(rated)[1].astype(np.int32), 1682)
    inputs = write_inputs(tmp_path / "in", model, rated=pairs, users=users, items=items)
    report = score_shard(inputs, slice(0, 943), tmp_path / "p.parquet", metadata=META, options=ScoreOptions())
    table = pq.read_table(report.path)
    assert report.rows == table.num_rows == 1_586_126
    key = table["user_id"].to_numpy() * 10_000 + table["item_id"].to_numpy()
    assert (np.diff(key) > 0).all(), "sorted by user, then item, each pair once"
    assert table["rated"].to_numpy().sum() == 100_000
    chosen = np.random.default_rng(0).integers(0, 1_586_126, 50_000)
    expected = model.predict_pairs(*np.divmod(chosen, 1682))
    np.testing.assert_allclose(table["prediction"].to_numpy()[chosen], expected, atol=1e-5)
