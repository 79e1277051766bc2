"""A name, path or URI → ratings, their titles, and the known part of their layout."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from recobatch.addresses import Address
from recobatch.errors import BadRatings, RatingsNotFound
from recobatch.reading import ReadOptions
from recobatch.reading.files import list_files, names_many
from recobatch.reading.opening import NOTHING, why_unreadable
from recobatch.reading.remote import identity
from recobatch.sources import movielens
from recobatch.sources.movielens import Progress
from recobatch.sources.titles import find_titles, read_titles
from recobatch.storage.fingerprints import file_digest, fingerprint

__all__ = ["Progress", "Source", "read_titles", "resolve"]

KNOWN = (movielens.NAME,)
"""Names of datasets."""


@dataclass(frozen=True)
class Source:
    """Ratings to read, with their titles and known layout."""

    name: str
    """The dataset's name, or that of the file, folder or glob."""
    uri: str
    """Path or URI of the ratings."""
    location: str
    """Independent of the working directory: the dataset's name, an absolute path, or a URI."""
    titles: Path | None
    """File with the items' titles, for ``read_titles``."""
    read: ReadOptions = field(default_factory=ReadOptions)
    """The known part of the layout; ``source.read.updated(options)`` lets a caller's options override it."""


def resolve(ratings: str, *, cache_dir: Path, on_progress: Progress | None = None) -> Source:
    """Resolve a name, path or URI to ratings.

    Args:
        ratings: A name among ``KNOWN``, or a path or URI of a file, a folder or a glob.
        cache_dir: Folder where named datasets are kept; created if needed.
        on_progress: Called during a download.

    Raises:
        DatasetUnavailable: If a named dataset is neither cached nor available, or its digest is wrong.
        RatingsNotFound: If there is no file at the path.
        BadRatings: If the path is not a readable file, or a folder without ratings.
    """
    if ratings == movielens.NAME:
        path, titles = movielens.fetch(cache_dir.expanduser() / movielens.NAME, on_progress)
        layout = ReadOptions(user_column=0, item_column=1, rating_column=2, time_column=3, delimiter="\t", header=False)
        return Source(ratings, str(path), ratings, titles, layout)
    check_path(ratings)
    address = Address.parse(ratings)
    if (local := address.local) is None:
        return Source(address.name, ratings, ratings, None)
    path = local.absolute()
    return Source(path.name, str(local), str(path), find_titles(path))


def origin_fingerprint(source: Source) -> str:
    """Identify the content of the ratings, so that a file that changed, was added or removed is read again."""
    if not names_many(source.uri):
        return source_fingerprint(source.uri)
    return fingerprint([[file.name, source_fingerprint(file.uri)] for file in list_files(source.uri)])


def source_fingerprint(uri: str) -> str:
    """Identify the content behind a path or URI, so that a changed file is read again.

    A local file counts by its bytes, a remote one by its ``identity``; one that cannot be identified never equals an
    earlier one.
    """
    local = Address.parse(uri).local
    if local is not None and local.is_file():
        return file_digest(local)
    found = identity(uri) if local is None else None
    return uuid4().hex if found is None else fingerprint(found)


def check_path(ratings: str) -> None:
    """Refuse a path on this machine without readable files; other names and addresses are looked up by ``resolve``.

    Raises:
        RatingsNotFound: If there is no file at the path, or none matches the glob.
        BadRatings: If there is something else, or a file that cannot be read.
    """
    path = None if ratings in KNOWN else Address.parse(ratings).local
    if path is not None and names_many(ratings):
        for file in list_files(ratings):
            check_path(file.uri)
        return
    if path is None or (found := why_unreadable(path)) is None:
        return
    known = ", ".join(KNOWN)
    if found == NOTHING and path.name == ratings and not path.suffix:
        raise RatingsNotFound(
            f"{ratings}: found neither a dataset nor a file of this name, expected a dataset ({known}), a path or a "
            f"URI; check the spelling"
        )
    raise (RatingsNotFound if found == NOTHING else BadRatings)(
        f"{ratings}: found {found}, expected ratings (csv, tsv or parquet; a file, a folder or a glob) or a dataset "
        f"({known}); "
        f"check the path"
    )
