import boto3
import fsspec
import pytest

from recobatch.errors import BadRatings, RatingsNotFound
from recobatch.reading import localized
from recobatch.reading.files import list_files, names_many
from tests.support.s3_server import S3Server

pytestmark = pytest.mark.slow


@pytest.fixture
def s3_bucket(monkeypatch):
    """A client of an S3 server with an empty bucket, ``ratings``."""
    server = S3Server()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="ratings")
    yield client
    server.stop()


def make(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"user,item,rating\n1,2,3\n")
    return str(folder)


def names(ratings):
    return [file.name for file in list_files(ratings)]


def test_a_folder_is_its_files_by_path_without_what_hive_and_spark_leave(tmp_path):
    folder = make(
        tmp_path / "r", "b.csv", "a/z.csv", "a.csv", "_SUCCESS", ".b.csv.crc", "_temporary/0/c.csv", "part-00001"
    )
    assert names_many(folder)
    assert names(folder) == ["a.csv", "a/z.csv", "b.csv", "part-00001"]


def test_a_glob_takes_any_name_and_the_folders_that_it_matches(tmp_path):
    folder = make(tmp_path / "r", "2024/a.csv", "2024/b.ratings", "2025/a.csv", "notes.txt")
    assert names(f"{folder}/*/a.csv") == ["2024/a.csv", "2025/a.csv"]
    assert names(f"{folder}/202?") == ["2024/a.csv", "2024/b.ratings", "2025/a.csv"]
    assert names(f"{folder}/**/*.ratings") == ["2024/b.ratings"]


def test_a_file_is_one_file_even_with_a_wildcard_in_its_name(tmp_path):
    make(tmp_path, "ratings[1].csv")
    assert not names_many(str(tmp_path / "ratings[1].csv"))
    assert not names_many(str(tmp_path / "nothing.csv"))


def test_folders_of_the_form_key_value_are_columns(tmp_path):
    folder = make(tmp_path / "r", "year=2024/kind=a%20b/x.csv", "year=__HIVE_DEFAULT_PARTITION__/x.csv")
    assert [dict(file.partitions) for file in list_files(folder)] == [{"year": "2024", "kind": "a b"}, {"year": None}]


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ((), "found an empty directory, expected"),
        (("_SUCCESS", ".crc"), "found an empty directory (passed over: .crc, _SUCCESS)"),
        (("a.csv", "README.md"), "found 1 of 2 files that are neither csv nor parquet by name (README.md)"),
        (("_delta_log/0.json", "a.parquet"), "found a table in Delta's format"),
        (("metadata/v1.metadata.json", "data/a.parquet"), "found a table in Iceberg's format"),
        ((".hoodie/hoodie.properties", "a.parquet"), "found a table in Hudi's format"),
    ],
)
def test_says_why_a_folder_cannot_be_read(inside, words, tmp_path):
    (tmp_path / "r").mkdir()
    with pytest.raises(BadRatings) as caught:
        list_files(make(tmp_path / "r", *inside))
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'r'}: ")
    assert "; " in str(caught.value)


def test_a_glob_without_a_match_is_not_found(tmp_path):
    with pytest.raises(RatingsNotFound, match="found no file that matches"):
        list_files(f"{tmp_path}/*.csv")


def test_a_link_to_a_folder_above_is_read_once(tmp_path):
    folder = make(tmp_path / "r", "a/x.csv")
    (tmp_path / "r" / "a" / "up").symlink_to(tmp_path / "r")
    assert names(folder) == ["a/x.csv"]


def test_folders_and_globs_of_an_object_store():
    for name in ("2024/a.csv", "2024/_SUCCESS", "2025/b.csv"):
        with fsspec.open(f"memory://listing/{name}", "wb") as file:
            file.write(b"user,item,rating\n1,2,3\n")
    assert names_many("memory://listing/")
    assert names_many("memory://listing/2024")
    assert not names_many("memory://listing/2024/a.csv")
    assert not names_many("https://host/folder/")
    assert names("memory://listing/") == ["2024/a.csv", "2025/b.csv"]
    assert names("memory://listing/202*/*.csv") == ["2024/a.csv", "2025/b.csv"]
    with fsspec.open(list_files("memory://listing/2024/")[0].uri) as file:
        assert file.read(4) == b"user"


def test_folders_and_globs_of_a_bucket(s3_bucket, tmp_path):
    for name in ("2024/a.csv", "2024/_SUCCESS", "2025/b.csv"):
        s3_bucket.put_object(Bucket="ratings", Key=f"night/{name}", Body=b"user,item,rating\n1,2,3\n")
    assert names_many("s3://ratings/night/")
    assert names_many("s3://ratings/night")
    assert not names_many("s3://ratings/night/2024/a.csv")
    assert names("s3://ratings/night/") == ["2024/a.csv", "2025/b.csv"]
    (file,) = list_files("s3://ratings/night/202*/b.csv")
    assert (file.name, file.uri) == ("2025/b.csv", "s3://ratings/night/2025/b.csv")
    with localized(file.uri) as path:
        assert path.read_bytes().startswith(b"user")
    with pytest.raises(BadRatings, match="s3://ratings/nothing/: found an empty directory"):
        list_files("s3://ratings/nothing/")
