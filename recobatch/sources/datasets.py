"""A name, path or URI → a ratings file, its titles, and the known part of its layout."""

from dataclasses import dataclass, field
from pathlib import Path

from recobatch.addresses import Address
from recobatch.errors import BadRatings, RatingsNotFound
from recobatch.reading import ReadOptions
from recobatch.reading.opening import NOTHING, why_unreadable
from recobatch.sources import movielens
from recobatch.sources.movielens import Progress
from recobatch.sources.titles import find_titles, read_titles

__all__ = ["Progress", "Source", "read_titles", "resolve"]

KNOWN = (movielens.NAME,)
"""Names of datasets."""


@dataclass(frozen=True)
class Source:
    """Ratings to read, with their titles and known layout."""

    name: str
    """The dataset's name, or the file's."""
    uri: str
    """Path or URI of the ratings."""
    location: str
    """Independent of the working directory: the dataset's name, an absolute path, or a URI."""
    titles: Path | None
    """File with the items' titles, for ``read_titles``."""
    read: ReadOptions = field(default_factory=ReadOptions)
    """The known part of the layout; ``source.read.updated(options)`` lets a caller's options override it."""


def resolve(ratings: str, *, cache_dir: Path, on_progress: Progress | None = None) -> Source:
    """Resolve a name, path or URI to a ratings file.

    Args:
        ratings: A name among ``KNOWN``, or a path or URI.
        cache_dir: Folder where named datasets are kept; created if needed.
        on_progress: Called during a download.

    Raises:
        DatasetUnavailable: If a named dataset is neither cached nor available, or its digest is wrong.
        RatingsNotFound: If there is no file at the path.
        BadRatings: If the path is not a readable file.
    """
    if ratings == movielens.NAME:
        path, titles = movielens.fetch(cache_dir.expanduser() / movielens.NAME, on_progress)
        layout = ReadOptions(user_column=0, item_column=1, rating_column=2, time_column=3, delimiter="\t", header=False)
        return Source(ratings, str(path), ratings, titles, layout)
    check_path(ratings)
    address = Address.parse(ratings)
    if (local := address.local) is None:
        return Source(address.name, ratings, ratings, None)
    return Source(local.name, str(local), str(local.absolute()), find_titles(local))


def check_path(ratings: str) -> None:
    """Refuse a path on this machine without a readable file; other names and addresses are looked up by ``resolve``.

    Raises:
        RatingsNotFound: If there is no file at the path.
        BadRatings: If there is something else, or a file that cannot be read.
    """
    path = None if ratings in KNOWN else Address.parse(ratings).local
    if path is None or (found := why_unreadable(path)) is None:
        return
    known = ", ".join(KNOWN)
    if found == NOTHING and path.name == ratings and not path.suffix:
        raise RatingsNotFound(
            f"{ratings}: found neither a dataset nor a file of this name, expected a dataset ({known}), a path or a "
            f"URI; check the spelling"
        )
    raise (RatingsNotFound if found == NOTHING else BadRatings)(
        f"{ratings}: found {found}, expected a ratings file (csv, tsv or parquet) or a dataset ({known}); "
        f"check the path"
    )
