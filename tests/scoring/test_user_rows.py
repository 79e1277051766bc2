"""Looking up one user in published files: ids of any length, and titles with ids of another type."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recobatch.errors import BadInput
from recobatch.scoring.top import best_of_parts

LONG = [f"{letter * 5_000}" for letter in "abcde"]


@pytest.fixture
def parts(tmp_path):
    """A function that writes rows of some users, two to a file and one to a row group."""

    def write(users, items):
        paths = []
        for first in range(0, len(users), 2):
            path = tmp_path / f"part-{first}.parquet"
            pairs = [(user, item) for user in users[first : first + 2] for item in items]
            columns = {
                "user_id": [user for user, _ in pairs], "item_id": [item for _, item in pairs],
                "prediction": pa.array([float(n) for n in range(len(pairs))], pa.float32()),
                "rated": [False] * len(pairs),
            }  # fmt: skip
            pq.write_table(pa.table(columns), path, row_group_size=len(items))
            paths.append(path)
        return paths

    return write


def look_up(parts, user, titles=None):
    return best_of_parts(parts, user, place="here", titles=titles, k=1, unseen_only=True)


def test_users_whose_ids_are_too_long_for_statistics_are_found(parts):
    files = parts(LONG, [1, 2])
    assert not pq.ParquetFile(files[0]).metadata.row_group(0).column(0).statistics.has_min_max
    assert [look_up(files, user)["item_id"].to_pylist() for user in LONG] == [[2]] * len(LONG)
    with pytest.raises(BadInput, match="expected one of the users that were scored in here"):
        look_up(files, "cc")


@pytest.mark.parametrize(("items", "named"), [(["1", "2"], [1, 2]), ([1, 2], ["1", "2"])])
def test_titles_are_found_whose_ids_are_of_another_type(parts, tmp_path, items, named):
    pq.write_table(pa.table({"item_id": named, "title": ["Alien", "Brazil"]}), tmp_path / "titles.parquet")
    assert look_up(parts([7], items), 7, tmp_path / "titles.parquet")["title"].to_pylist() == ["Brazil"]
