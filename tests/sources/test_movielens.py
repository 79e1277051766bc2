import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from recobatch.errors import DatasetUnavailable
from recobatch.sources import movielens
from recobatch.sources.datasets import read_titles
from tests.support.movielens import CACHE

ITEMS = "item_id:token\tmovie_title:token_seq\trelease_year:token\n1\tToy Story\t1995\n267\tunkonwn\tunkonwn\n"
USERS = "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n1\t24\tM\ttechnician\t85711\n"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Neither source is there; tests put one back."""

    def no_package(_folder):
        raise OSError("no such package")

    monkeypatch.setattr(movielens, "ZIP_ADDRESS", (tmp_path / "ml-100k.zip").as_uri())
    monkeypatch.setattr(movielens, "_pip_download", no_package)


@pytest.fixture
def u_data(ml100k_dir):
    return (ml100k_dir / "u.data").read_bytes()


def put_zip(tmp_path, ratings):
    with zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as archive:
        archive.writestr("ml-100k/u.data", ratings)
        archive.writestr("ml-100k/u.user", "1|24|M|technician|85711\n")
        archive.writestr("ml-100k/u.item", "1|Toy Story (1995)|x\n2|Misérables, Les (1995)|x\n".encode("latin-1"))


def put_package(monkeypatch, ratings):
    def download(folder):
        with zipfile.ZipFile(Path(folder, "recbole-1.2.1-py3-none-any.whl"), "w") as archive:
            archive.writestr("recbole/ml-100k/ml-100k.inter", b"user_id:token\titem_id:token\n" + ratings)
            archive.writestr("recbole/ml-100k/ml-100k.item", ITEMS)
            archive.writestr("recbole/ml-100k/ml-100k.user", USERS)
        content = Path(folder, "recbole-1.2.1-py3-none-any.whl").read_bytes()
        monkeypatch.setattr(movielens, "PACKAGE_SHA256", hashlib.sha256(content).hexdigest())

    monkeypatch.setattr(movielens, "_pip_download", download)


def test_comes_from_its_makers_and_then_from_the_cache(offline, tmp_path, u_data):
    put_zip(tmp_path, u_data)
    told = []
    ratings, titles = movielens.fetch(tmp_path / "cache", lambda done, total: told.append((done, total)))
    assert ratings.read_bytes() == u_data
    assert read_titles(titles)["title"].to_pylist() == ["Toy Story (1995)", "Misérables, Les (1995)"]
    size = (tmp_path / "ml-100k.zip").stat().st_size
    assert told[-1] == (size, size)
    (tmp_path / "ml-100k.zip").unlink()
    assert movielens.fetch(tmp_path / "cache") == (ratings, titles)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [
        "items.csv", "titles.csv", "u.data", "users.csv",
    ]  # fmt: skip


def test_comes_from_the_package_where_the_makers_cannot_be_reached(offline, monkeypatch, tmp_path, u_data):
    put_package(monkeypatch, u_data)
    ratings, titles = movielens.fetch(tmp_path / "cache")
    assert ratings.read_bytes() == u_data
    assert read_titles(titles).to_pydict() == {"item_id": [1, 267], "title": ["Toy Story (1995)", "unknown"]}


def test_comes_from_the_package_where_a_gateway_answers_with_a_page(offline, monkeypatch, tmp_path, u_data):
    (tmp_path / "ml-100k.zip").write_text("<html>please log in</html>")
    put_package(monkeypatch, u_data)
    assert movielens.fetch(tmp_path / "cache")[0].read_bytes() == u_data


def test_a_wrong_digest_is_refused_and_no_other_source_is_asked(offline, monkeypatch, tmp_path, u_data):
    put_zip(tmp_path, u_data + b"1\t1\t5\t1\n")
    put_package(monkeypatch, u_data)
    with pytest.raises(DatasetUnavailable, match=r"found content with sha256 .*, expected 06416e597f82"):
        movielens.fetch(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_package_with_a_wrong_digest_is_refused(offline, monkeypatch, tmp_path, u_data):
    monkeypatch.setattr(movielens, "_pip_download", lambda folder: Path(folder, "recbole.whl").write_bytes(b"other"))
    with pytest.raises(DatasetUnavailable, match=r"package recbole==1\.2\.1: found content .* expected 9c9948202011"):
        movielens.fetch(tmp_path / "cache")


def test_a_changed_cache_is_refused(tmp_path):
    (tmp_path / "u.data").write_text("1\t1\t5\t1\n")
    with pytest.raises(DatasetUnavailable, match=r"u\.data: found content .*; delete the file"):
        movielens.fetch(tmp_path)


def test_offline_says_how_to_bring_your_own(offline, tmp_path):
    with pytest.raises(DatasetUnavailable) as caught:
        movielens.fetch(tmp_path / "cache")
    message = str(caught.value)
    assert "\n" not in message
    for words in ("neither in the cache", "recbole==1.2.1 (no such package)", f"put its u.data at {tmp_path}",
                  "recobatch run RATINGS.csv"):  # fmt: skip
        assert words in message
    assert not (tmp_path / "cache").exists()


def test_pip_s_last_line_is_passed_on(monkeypatch, tmp_path):
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: retrying\nERROR: no network\n")
    monkeypatch.setattr(movielens, "ZIP_ADDRESS", (tmp_path / "ml-100k.zip").as_uri())
    monkeypatch.setattr(movielens.subprocess, "run", lambda *_args, **_options: failed)
    with pytest.raises(DatasetUnavailable, match=r"recbole==1\.2\.1 \(ERROR: no network\)"):
        movielens.fetch(tmp_path / "cache")


def test_a_cache_that_cannot_be_written(offline, tmp_path, u_data):
    put_zip(tmp_path, u_data)
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetUnavailable, match=r"cannot keep movielens-100k there .*--set data\.cache=DIR"):
        movielens.fetch(tmp_path / "file")


def test_side_tables_come_with_the_ratings(ml100k_dir):
    users, items = movielens.fetch_side_tables(CACHE)
    assert users.read_text().splitlines()[:2] == ["user_id,age,gender,occupation,zip_code", "1,24,M,technician,85711"]
    assert items.read_text().splitlines()[:2] == ["item_id,release_year,genres", "1,1995,Animation|Children's|Comedy"]


def test_a_cache_without_side_tables_is_completed(offline, monkeypatch, tmp_path, ml100k_dir, u_data):
    known = [path.read_bytes() for path in movielens.fetch_side_tables(CACHE)]
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "u.data").write_bytes(u_data)
    put_zip(tmp_path, u_data)
    digests = [
        hashlib.sha256(content).hexdigest()
        for content in (b"user_id,age,gender,occupation,zip_code\n1,24,M,technician,85711\n",
                        b"item_id,release_year,genres\n1,1995,\n2,1995,\n")
    ]  # fmt: skip
    assert digests[0] != hashlib.sha256(known[0]).hexdigest()
    monkeypatch.setattr(movielens, "USERS_SHA256", digests[0])
    monkeypatch.setattr(movielens, "ITEMS_SHA256", digests[1])
    users, items = movielens.fetch_side_tables(tmp_path / "cache")
    assert [users.name, items.name] == ["users.csv", "items.csv"]


def test_changed_side_tables_are_refused(tmp_path):
    for name in ("users.csv", "items.csv"):
        (tmp_path / name).write_text("user_id,age\n1,24\n")
    with pytest.raises(DatasetUnavailable, match=r"users\.csv: found content .*; delete the file"):
        movielens.fetch_side_tables(tmp_path)
