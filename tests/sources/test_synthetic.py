import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.errors import BadSettings, RecobatchError
from recobatch.ingest import IngestOptions, ingest
from recobatch.interactions import RAW_COLUMNS
from recobatch.reading import ReadOptions
from recobatch.sources.synthetic import Truth, synthesize, write_synthetic


def pairs_of(table):
    return list(zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), strict=True))


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 3))
def test_pairs_are_unique_and_cover_everyone(n_users, n_items, share, seed):
    n_ratings = max(1, round(share * n_users * n_items))
    table, _ = synthesize(n_users=n_users, n_items=n_items, n_ratings=n_ratings, seed=seed)
    pairs = pairs_of(table)
    assert len(set(pairs)) == len(pairs) == n_ratings
    users, items = map(set, zip(*pairs, strict=True))
    assert users <= set(range(1, n_users + 1))
    assert items <= set(range(1, n_items + 1))
    if n_ratings >= max(n_users, n_items):
        assert (len(users), len(items)) == (n_users, n_items)


def test_the_seed_tells_all():
    shape = {"n_users": 50, "n_items": 40, "n_ratings": 300}
    (one, truth), (again, _), (other, _) = (synthesize(**shape, seed=seed) for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one.equals(other)
    assert one.column_names == list(RAW_COLUMNS)
    assert one.schema.types == [pa.int64(), pa.int64(), pa.float32(), pa.int64()]
    assert np.all(np.diff(one["timestamp"].to_numpy()) >= 0)
    assert truth.user_factors.shape == (50, 8)


def test_ratings_are_the_truth_plus_the_noise():
    table, truth = synthesize(n_users=300, n_items=200, n_ratings=20_000, seed=3, step=None, noise=0.3,
                              rating_range=(-10.0, 10.0))  # fmt: skip
    user_index, item_index = (table[name].to_numpy() - 1 for name in ("user_id", "item_id"))
    error = table["rating"].to_numpy() - truth.rating(user_index, item_index)
    assert np.std(error) == pytest.approx(0.3, abs=0.01)
    assert np.mean(error) == pytest.approx(0, abs=0.01)
    direct = truth.user_factors[user_index[0]] @ truth.item_factors[item_index[0]] + truth.global_bias
    direct += truth.user_bias[user_index[0]] + truth.item_bias[item_index[0]]
    assert truth.rating(user_index[:1], item_index[:1])[0] == pytest.approx(direct, rel=1e-5)


def test_ratings_are_half_stars_within_the_range():
    table, _ = synthesize(n_users=100, n_items=80, n_ratings=4_000, seed=0, rating_range=(1.0, 5.0))
    assert set(table["rating"].to_pylist()) == set(np.arange(1, 5.5, 0.5))


def test_popularity_has_a_long_tail():
    table, _ = synthesize(n_users=2_000, n_items=3_000, n_ratings=100_000, seed=0)
    counts = np.sort(np.bincount(table["item_id"].to_numpy())[1:])[::-1]
    assert counts[:300].sum() > 0.5 * counts.sum()
    assert counts[0] <= 2_000


@pytest.mark.parametrize("name", ["r.parquet", "r.csv", "r.csv.gz", "r.csv.bz2", "r.csv.zst", "r.csv.lz4"])
def test_written_ratings_read_back(tmp_path, name):
    shape = {"n_users": 30, "n_items": 20, "n_ratings": 200, "seed": 5}
    truth_path = write_synthetic(tmp_path / name, **shape)
    table, truth = synthesize(**shape)
    report = ingest(str(tmp_path / name), ReadOptions(), IngestOptions(max_quarantined=0), tmp_path)
    assert pq.read_table(report.ratings_path).to_pydict() == table.to_pydict()
    assert truth_path == tmp_path / "r.truth.npz"
    back = Truth.load(truth_path)
    index = np.arange(20)
    assert back.rating(index, index).tolist() == truth.rating(index, index).tolist()
    assert (back.noise, back.min_rating, back.max_rating) == (0.7, 0.5, 5.0)


def test_refuses_more_ratings_than_pairs_and_other_suffixes(tmp_path):
    with pytest.raises(BadSettings, match=r"found 7 ratings for 2 users and 3 items, expected .* at most 6 ratings"):
        synthesize(n_users=2, n_items=3, n_ratings=7, seed=0)
    with pytest.raises(BadSettings, match=r"found the suffix '\.xlsx', expected \.parquet or \.csv"):
        write_synthetic(tmp_path / "r.xlsx", n_users=2, n_items=3, n_ratings=4, seed=0)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_the_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecobatchError, match=r"file/x.csv: found that the disk refused to write the ratings"):
        write_synthetic(tmp_path / "file" / "x.csv", n_users=3, n_items=3, n_ratings=4, seed=1)
