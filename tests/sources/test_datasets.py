import shutil

import pytest

from recobatch.errors import BadRatings, RatingsNotFound
from recobatch.reading import ReadOptions
from recobatch.sources.datasets import Source, resolve
from recobatch.sources.movielens import RATINGS_SHA256


def test_a_name_stands_for_the_cached_dataset(ml100k_dir, tmp_path):
    folder = tmp_path / "movielens-100k"
    folder.mkdir()
    shutil.copyfile(ml100k_dir / "u.data", folder / "u.data")
    source = resolve("movielens-100k", cache_dir=tmp_path)
    assert (source.name, source.uri, source.titles) == ("movielens-100k", str(folder / "u.data"), None)
    assert (source.read.header, source.read.delimiter, source.read.time_column) == (False, "\t", 3)
    assert len(RATINGS_SHA256) == 64


def test_a_path_is_itself_and_finds_the_titles_beside_it(ml100k_dir, tmp_path):
    source = resolve(str(ml100k_dir / "ratings.csv"), cache_dir=tmp_path)
    assert source == Source(
        "ratings.csv", str(ml100k_dir / "ratings.csv"), str(ml100k_dir / "ratings.csv"), ml100k_dir / "items.csv"
    )  # fmt: skip
    assert resolve((ml100k_dir / "u.data").as_uri(), cache_dir=tmp_path).uri == str(ml100k_dir / "u.data")


def test_a_colon_makes_no_uri(tmp_path):
    path = tmp_path / "ratings:v2.csv"
    path.write_text("")
    assert resolve(str(path), cache_dir=tmp_path).uri == str(path)


def test_a_uri_is_left_to_the_reader(tmp_path):
    source = resolve("s3://bucket/night/ratings.parquet", cache_dir=tmp_path)
    assert source == Source("ratings.parquet", *["s3://bucket/night/ratings.parquet"] * 2, None)


@pytest.mark.parametrize(
    ("ratings", "words"),
    [
        ("movielens", "found neither a dataset nor a file of this name, expected a dataset (movielens-100k)"),
        ("../../movielens-100k", "found nothing there"),
        ("nothing.csv", "found nothing there"),
        ("nowhere/movielens-100k", "found nothing there"),
        (".", "found a directory"),
        ("nul\0byte.csv", "found a path that cannot be opened"),
    ],
)
def test_refuses_what_is_no_file(ratings, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRatings) as caught:
        resolve(ratings, cache_dir=tmp_path)
    assert words in str(caught.value)
    assert "check the" in str(caught.value)


def test_only_what_is_not_there_is_not_found(tmp_path, monkeypatch):
    def refused(path, **_options):
        raise PermissionError(13, "Permission denied", str(path))

    with pytest.raises(RatingsNotFound):
        resolve(str(tmp_path / "nothing.csv"), cache_dir=tmp_path)
    monkeypatch.setattr("pathlib.Path.stat", refused)
    with pytest.raises(BadRatings, match="permission denied") as caught:
        resolve(str(tmp_path / "nothing.csv"), cache_dir=tmp_path)
    assert not isinstance(caught.value, RatingsNotFound)


def test_a_caller_s_own_options_come_first():
    known = ReadOptions(user_column=0, delimiter="\t", header=False)
    assert known.updated(ReadOptions(user_column="who")) == ReadOptions(user_column="who", delimiter="\t", header=False)
