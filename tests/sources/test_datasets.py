import shutil

import pytest

from recobatch.errors import BadRatings, RatingsNotFound
from recobatch.reading import ReadOptions
from recobatch.sources.datasets import Source, origin_fingerprint, resolve
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
        (".", "found an empty directory"),
        ("*.csv", "found no file that matches"),
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


def test_a_folder_has_its_titles_beside_it_and_every_file_counts(tmp_path):
    folder = tmp_path / "ratings"
    folder.mkdir()
    (folder / "a.csv").write_text("user,item,rating\n1,2,3\n")
    (tmp_path / "items.csv").write_text("item,title\n2,Two\n")
    source = resolve(f"{folder}/", cache_dir=tmp_path)
    assert source == Source("ratings", str(folder), str(folder), tmp_path / "items.csv")
    before = origin_fingerprint(source)
    assert origin_fingerprint(source) == before
    (folder / "_SUCCESS").write_text("")
    assert origin_fingerprint(source) == before
    (folder / "b.csv").write_text("user,item,rating\n1,3,3\n")
    assert origin_fingerprint(source) != before
    assert resolve(f"{folder}/*.csv", cache_dir=tmp_path).titles is None


def test_a_link_in_a_folder_that_leads_nowhere_is_named(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "a.csv").write_text("user,item,rating\n1,2,3\n")
    (tmp_path / "r" / "b.csv").symlink_to("nowhere")
    with pytest.raises(RatingsNotFound, match=r"b\.csv: found nothing there"):
        resolve(str(tmp_path / "r"), cache_dir=tmp_path)
