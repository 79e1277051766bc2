"""How much users' new lists share with the published ones."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.errors import BadTable
from recobatch.table import mean_overlap
from recobatch.vocabulary import Vocabulary


def lists(path, items_of_user):
    rows = [(user, rank, item) for user, items in items_of_user.items() for rank, item in enumerate(items, 1)]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    pq.write_table(pa.table(dict(zip(("user_id", "rank", "item_id"), columns, strict=True))), path)
    return [path]


def vocabulary(*ids):
    return Vocabulary.build(pa.array(ids))


def overlap(tmp_path, new, published, k=3):
    users = vocabulary(*new)
    items = vocabulary(*{item for ranked in new.values() for item in ranked})
    files = lists(tmp_path / "new.parquet", new), lists(tmp_path / "published.parquet", published)
    return mean_overlap(*files, users=users, items=items, k=k)


def test_it_is_the_mean_share_over_the_users_of_both(tmp_path):
    new = {1: [10, 11, 12], 2: [10, 13, 14], 3: [10, 11, 12]}
    published = {1: [12, 11, 10], 2: [10, 98, 99], 4: [10, 11, 12]}
    assert overlap(tmp_path, new, published) == pytest.approx((1 + 1 / 3) / 2)


def test_places_below_k_do_not_count(tmp_path):
    assert overlap(tmp_path, {1: [10, 11, 12]}, {1: [12, 11, 10]}, k=1) == 0
    assert overlap(tmp_path, {1: [10, 11, 12]}, {1: [12, 11, 10]}, k=2) == 0.5


def test_the_longer_list_is_the_whole(tmp_path):
    assert overlap(tmp_path, {1: [10, 11]}, {1: [10, 11, 12]}) == pytest.approx(2 / 3)


def test_without_a_common_user_it_is_unknown(tmp_path):
    assert overlap(tmp_path, {1: [10]}, {2: [10]}) is None
    assert overlap(tmp_path, {"a": [10]}, {1: [10]}) is None


def test_a_damaged_file_is_one_line(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    files = lists(tmp_path / "new.parquet", {1: [10]}), [tmp_path / "broken.parquet"]
    with pytest.raises(BadTable, match=r"found a file that cannot be read .* expected parquet"):
        mean_overlap(*files, users=vocabulary(1), items=vocabulary(10))
