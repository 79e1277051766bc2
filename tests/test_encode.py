import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.encode import encode, pairs
from recobatch.interactions import EncodedInteractions
from recobatch.rated import RatedPairs
from recobatch.vocabulary import Vocabulary


def clean_file(path, user_id, item_id, timestamp=None):
    n = len(user_id)
    table = pa.table({
        "user_id": user_id, "item_id": item_id, "rating": pa.array(np.arange(n), pa.float32()),
        "timestamp": pa.array(timestamp or [None] * n, pa.int64()),
    })  # fmt: skip
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize(
    "ids", [[7, -3, 7, 2**62], [7, -3, 7, 0], [2**63 - 1, -(2**63), 0, 0], ["zoë", "a", "zoë", "007"]]
)
def test_decoding_gives_the_raw_ids_back(tmp_path, ids):
    encoded = encode(clean_file(tmp_path / "ratings.parquet", ids, ids[::-1], [5, None, 7, 8]), tmp_path)
    whole = EncodedInteractions.load(encoded.interactions_path)
    users, items = Vocabulary.load(encoded.users_path), Vocabulary.load(encoded.items_path)
    assert (encoded.n_users, encoded.n_items, encoded.n_ratings) == (len(set(ids)), len(set(ids)), 4)
    assert users.decode(whole.user_index).to_pylist() == ids
    assert items.decode(whole.item_index).to_pylist() == ids[::-1]
    assert users.ids.to_pylist() == sorted(set(ids))
    assert whole.rating.tolist() == [0, 1, 2, 3]
    assert whole.timestamp.tolist() == [5, -1, 7, 8]


def test_rated_pairs_are_the_ratings(tmp_path):
    encoded = encode(clean_file(tmp_path / "ratings.parquet", [1, 2, 2], [30, 10, 30]), tmp_path)
    mask = RatedPairs.load(encoded.rated_path).mask(slice(0, 2))
    assert mask.tolist() == [[False, True], [True, True]]


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_many_row_groups_and_parts_give_what_one_gives(tmp_path, monkeypatch, kind):
    rng = np.random.default_rng(3)
    key = rng.permutation(80 * 50)[:2_000]
    user, item = (pa.array(ids).cast(kind) for ids in (key // 50 * 7 - 60, key % 50))
    table = pq.read_table(clean_file(tmp_path / "one.parquet", user, item, rng.integers(0, 99, 2_000).tolist()))
    pq.write_table(table, tmp_path / "many.parquet", row_group_size=300)
    found = []
    for name in ("one", "many"):
        (tmp_path / name).mkdir()
        encoded = encode(tmp_path / f"{name}.parquet", tmp_path / name)
        rated = RatedPairs.load(encoded.rated_path)
        whole = EncodedInteractions.load(encoded.interactions_path)
        users = Vocabulary.load(encoded.users_path)
        assert users.decode(whole.user_index).equals(user)
        found.append((whole.fingerprint, rated.fingerprint, users.fingerprint, encoded.to_json()))
        assert RatedPairs.collect(whole).fingerprint == rated.fingerprint
        assert sorted(path.suffix for path in (tmp_path / name).iterdir()) == [".npz", *[".parquet"] * 3]
        monkeypatch.setattr(pairs, "_ROWS_PER_PART", 170)
    assert found[0] == found[1]


def test_the_same_ratings_give_the_same_bytes(tmp_path):
    source = clean_file(tmp_path / "ratings.parquet", ["b", "a"], [1, 2])
    written = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        encoded = encode(source, tmp_path / name)
        paths = (encoded.interactions_path, encoded.users_path, encoded.items_path, encoded.rated_path)
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]
