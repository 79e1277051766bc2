"""MovieLens 100k, from GroupLens or from a package that contains it; accepted only by its digest.

Harper and Konstan, "The MovieLens datasets: history and context", ACM TiiS 5(4), 2015. Its licence forbids passing the
data on, so it is fetched once and kept in a cache.
"""

import csv
import hashlib
import io
import os
import re
import subprocess  # nosec B404
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from recobatch.errors import DatasetUnavailable

Progress = Callable[[int, int | None], None]
"""Called with the bytes downloaded so far and the total, if known."""

NAME = "movielens-100k"
ZIP_ADDRESS = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
PACKAGE = "recbole==1.2.1"
PACKAGE_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
USERS_SHA256 = "f0666955a899ab27004d413eec2d92e393f5050879597e126ede637390e5a238"
ITEMS_SHA256 = "d51bc8b3fa3760024d535db07bee87d1c7d015e5c28d6e119eaa7aac3e53b99b"
RATINGS_SHA256 = "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490"
_SECONDS_TO_CONNECT = 5
_SECONDS_FOR_PACKAGE = 180
_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class _Content:
    ratings: bytes
    """As in ``u.data``."""
    titles: list[tuple[str, str]]
    """Item id and title."""
    users: bytes
    """The side table of the users."""
    items: bytes
    """The side table of the items."""


GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""In the order of the columns of ``u.item``."""


def fetch(folder: Path, on_progress: Progress | None = None) -> tuple[Path, Path | None]:
    """Return MovieLens 100k from a folder; download it if it is not there.

    Args:
        folder: Its folder in the cache; created if needed.
        on_progress: Called during a download.

    Returns:
        ``u.data``, and ``titles.csv`` where there is one.

    Raises:
        DatasetUnavailable: If it cannot be downloaded, or the file has another digest.
    """
    ratings, titles = folder / "u.data", folder / "titles.csv"
    if not ratings.exists():
        content = _download(ratings, on_progress or (lambda _done, _all: None))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path, table in zip(_side_paths(folder), (content.users, content.items), strict=True):
                _write_atomically(path, table)
            _write_atomically(titles, _as_csv([("item_id", "title"), *content.titles]))
            _write_atomically(ratings, content.ratings)
        except OSError as error:
            raise DatasetUnavailable(
                f"{folder}: cannot keep {NAME} there ({error.strerror}), expected a writable folder; pass another one "
                f"with --set data.cache=DIR"
            ) from error
    _check(ratings.read_bytes(), RATINGS_SHA256, str(ratings), "delete the file; the next run downloads it again")
    return ratings, titles if titles.exists() else None


def fetch_side_tables(folder: Path, on_progress: Progress | None = None) -> tuple[Path, Path]:
    """Return the side tables of MovieLens 100k from the folder of ``fetch``; download them if they are not there.

    Returns:
        ``users.csv`` (user_id, age, gender, occupation, zip_code) and ``items.csv`` (item_id, release_year, genres).

    Raises:
        DatasetUnavailable: If they cannot be downloaded, or a file has another digest.
    """
    paths = _side_paths(folder)
    if not all(path.exists() for path in paths):  # a folder of an earlier version has the ratings alone
        content = _download(folder / "u.data", on_progress or (lambda _done, _all: None))
        for path, table in zip(paths, (content.users, content.items), strict=True):
            _write_atomically(path, table)
    for path, digest in zip(paths, (USERS_SHA256, ITEMS_SHA256), strict=True):
        _check(path.read_bytes(), digest, str(path), "delete the file; the next run downloads it again")
    return paths


def _side_paths(folder: Path) -> tuple[Path, Path]:
    return folder / "users.csv", folder / "items.csv"


def _download(target: Path, on_progress: Progress) -> _Content:
    failures = []
    for source in (_from_grouplens, _from_package):
        try:
            return source(on_progress)
        except (OSError, HTTPException, zipfile.BadZipFile, subprocess.SubprocessError) as error:
            failures.append(str(error).strip().splitlines()[-1][:160] if str(error).strip() else type(error).__name__)
    raise DatasetUnavailable(
        f"{NAME}: found it neither in the cache nor at {ZIP_ADDRESS} ({failures[0]}) nor in the package {PACKAGE} "
        f"({failures[1]}), expected one of them; put its u.data at {target}, or pass your own file: "
        f"recobatch run RATINGS.csv"
    )


def _from_grouplens(on_progress: Progress) -> _Content:
    archive = io.BytesIO()
    with urllib.request.urlopen(ZIP_ADDRESS, timeout=_SECONDS_TO_CONNECT) as response:  # nosec B310
        size = int(response.headers.get("Content-Length") or 0) or None
        while chunk := response.read(_CHUNK_BYTES):
            archive.write(chunk)
            on_progress(archive.tell(), size)
    if size is not None and archive.tell() < size:
        raise OSError(f"the download ended after {archive.tell():,} of {size:,} bytes")
    with zipfile.ZipFile(archive) as opened:
        ratings = _member(opened, "ml-100k/u.data")
        items = _member(opened, "ml-100k/u.item").decode("latin-1")
        users = _member(opened, "ml-100k/u.user").decode("ascii")
    _check(ratings, RATINGS_SHA256, ZIP_ADDRESS, "try later, or pass your own file")
    rows = [fields for fields in (line.split("|") for line in items.splitlines()) if len(fields) > 1]
    films = [(row[0], _year(row[1]), [genre for genre, flag in zip(GENRES, row[5:], strict=False) if flag == "1"])
             for row in rows]  # fmt: skip
    return _Content(
        ratings, [(row[0], row[1]) for row in rows], _users_csv([line.split("|") for line in users.splitlines()]),
        _items_csv(films),
    )  # fmt: skip


def _from_package(on_progress: Progress) -> _Content:
    with tempfile.TemporaryDirectory(prefix="recobatch-") as folder:
        on_progress(0, None)
        _pip_download(folder)
        wheel = next(Path(folder).glob("*.whl"), None)
        if wheel is None:
            raise OSError("pip left no wheel")
        content = wheel.read_bytes()
    on_progress(len(content), len(content))
    _check(content, PACKAGE_SHA256, f"package {PACKAGE}", "check the package index that pip uses")
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        ratings = _member(opened, "ml-100k/ml-100k.inter").partition(b"\n")[2]
        items = _member(opened, "ml-100k/ml-100k.item").decode()
        users = _member(opened, "ml-100k/ml-100k.user").decode()
    _check(ratings, RATINGS_SHA256, f"package {PACKAGE}", "pass your own file")
    rows = [line.split("\t") for line in items.splitlines()[1:]]
    # One film has no year there, and a misspelt title.
    titles = [(row[0], f"{row[1]} ({row[2]})" if row[2].isdecimal() else "unknown") for row in rows]
    films = [(row[0], row[2] if row[2].isdecimal() else "", (row[3:] or [""])[0].split()) for row in rows]
    return _Content(
        ratings, titles, _users_csv([line.split("\t") for line in users.splitlines()[1:]]), _items_csv(films)
    )


def _pip_download(folder: str) -> None:
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
        "--only-binary=:all:", "--retries=1", "--timeout=15", "--dest", folder, PACKAGE,
    ]  # fmt: skip
    done = subprocess.run(  # nosec B603
        command, capture_output=True, text=True, check=False, timeout=_SECONDS_FOR_PACKAGE
    )
    if done.returncode:
        raise OSError((done.stderr.strip().splitlines() or [f"pip ended with {done.returncode}"])[-1])


def _member(archive: zipfile.ZipFile, ending: str) -> bytes:
    name = next((name for name in archive.namelist() if name.endswith(ending)), None)
    if name is None:
        raise zipfile.BadZipFile(f"no {ending} in it")
    return archive.read(name)


def _check(content: bytes, expected: str, where: str, hint: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DatasetUnavailable(
            f"{where}: found content with sha256 {found[:12]}…, expected {expected[:12]}…, that of "
            f"MovieLens 100k; {hint}"
        )


def _year(title: str) -> str:
    found = re.search(r"\((\d{4})\)\s*$", title)
    return found[1] if found else ""


def _users_csv(rows: list[list[str]]) -> bytes:
    return _as_csv([["user_id", "age", "gender", "occupation", "zip_code"], *rows])


def _items_csv(films: list[tuple[str, str, list[str]]]) -> bytes:
    rows = [(item, year, "|".join(sorted(genres))) for item, year, genres in films]
    return _as_csv([("item_id", "release_year", "genres"), *rows])


def _as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _write_atomically(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        staged = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            staged.replace(path)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
    path.chmod(0o644)
