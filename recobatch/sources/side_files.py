"""Where the side tables of users and items lie: given, in the data set, or beside the ratings."""

from dataclasses import dataclass, field
from pathlib import Path

from recobatch.addresses import is_uri
from recobatch.errors import BadInput, RecobatchError
from recobatch.sources import movielens
from recobatch.sources.datasets import Source
from recobatch.sources.movielens import Progress
from recobatch.sources.side_tables import Side

_SIBLINGS: dict[Side, tuple[str, ...]] = {
    "user": ("users.csv", "users.tsv", "users.parquet", "u.user", "users.dat"),
    "item": ("items.csv", "items.tsv", "items.parquet", "movies.csv", "u.item", "movies.dat"),
}
"""Names of files beside the ratings, the first one that exists counts."""


@dataclass(frozen=True)
class SideFiles:
    """The side tables of a batch."""

    paths: dict[Side, Path] = field(default_factory=dict)
    given: frozenset[Side] = frozenset()
    """Those that the settings name; the others were found."""
    missing: dict[Side, str] = field(default_factory=dict)
    """Side → why its table cannot be had."""


def find_side_files(
    source: Source, given: dict[Side, Path], *, cache_dir: Path, on_progress: Progress | None = None
) -> SideFiles:
    """Find the tables of users and items.

    Args:
        source: The ratings.
        given: Paths that the settings name.
        cache_dir: Folder where named datasets are kept.
        on_progress: Called during a download.

    Raises:
        BadInput: If there is no file at a given path.
    """
    for side, path in given.items():
        if not path.is_file():
            raise BadInput(
                f"data.{side}s: found no file {path}, expected a side table of the {side}s (csv, tsv or parquet); "
                f"check the path"
            )
    found: dict[Side, Path] = {}
    missing: dict[Side, str] = {}
    if source.location == movielens.NAME and len(given) < 2:
        try:
            users, items = movielens.fetch_side_tables(cache_dir.expanduser() / movielens.NAME, on_progress)
            found = {"user": users, "item": items}
        except RecobatchError as error:  # the ratings are there, and enough for a batch
            missing = {side: str(error) for side in _SIBLINGS if side not in given}
    elif not is_uri(source.uri):
        ratings = Path(source.uri).absolute()
        found = {side: beside for side in _SIBLINGS if (beside := _beside(ratings, side)) is not None}
    return SideFiles({**found, **given}, frozenset(given), missing)


def _beside(ratings: Path, side: Side) -> Path | None:
    candidates = (ratings.parent / name for name in _SIBLINGS[side])
    return next((path for path in candidates if path != ratings and path.is_file()), None)
