"""What ``fit`` is given, a frame or the path of a file, as encoded ratings and features of users and items."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.encode import Encoded, encode
from recobatch.errors import BadInput
from recobatch.features import Features
from recobatch.ingest import IngestOptions, IngestReport, ingest, ingest_frame
from recobatch.reading import Frame, ReadOptions, as_arrow
from recobatch.sources import datasets
from recobatch.sources.datasets import Source
from recobatch.sources.side_files import find_side_files
from recobatch.sources.side_tables import Side, read_side_table
from recobatch.sources.titles import choose_titles, titles_of
from recobatch.vocabulary import Vocabulary

Data = Frame | str | Path
"""A frame with the Arrow C interface (pandas, Polars, pyarrow, DuckDB), or the path, URI or name of a file."""
CACHE = Path("~/.cache/recobatch")
"""Folder where named data sets are kept, as by default on the command line."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Encoded ratings, and what is known of their users and items."""

    report: IngestReport
    encoded: Encoded
    features: Mapping[Side, Features]
    titles: pa.Table | None
    """``item_id`` and ``title``; None where no titles are known."""


def read_inputs(
    ratings: Data, read: ReadOptions, options: IngestOptions, side_tables: Mapping[Side, Data | None], out: Path
) -> Inputs:
    """Read, check and encode ratings and side tables.

    Args:
        ratings: The ratings.
        read: Known parts of their layout.
        options: Which of them are valid.
        side_tables: Tables of users and items; where None, a table beside a ratings file is used if it can be.
        out: Existing, empty folder for what is written on the way.

    Raises:
        BadInput: If ratings or a given side table cannot be used.
    """
    source = _source(ratings)
    with python_hints():
        if isinstance(ratings, str | Path):
            report = ingest(source.uri, source.read.updated(read), options, out)
        else:
            report = ingest_frame(ratings, read, options, out)
    encoded = encode(report.ratings_path, out)
    given = {side: _as_file(table, side, out) for side, table in side_tables.items() if table is not None}
    found = find_side_files(source, given, cache_dir=CACHE)
    features: dict[Side, Features] = {}
    for side, path in found.paths.items():
        vocabulary = Vocabulary.load(encoded.users_path if side == "user" else encoded.items_path)
        try:
            features[side] = read_side_table(path, vocabulary, side)[0]
        except BadInput:
            if side in given:
                raise
    return Inputs(report, encoded, features, _titles(source, side_tables.get("item")))


@contextmanager
def python_hints() -> Iterator[None]:
    """Errors of the block name arguments of Python in place of options of the command line."""
    try:
        yield
    except BadInput as error:
        text = str(error)
        plain = re.sub(r"--(user|item|rating|time)-column(?: with)?", r"\1_column=", text)
        plain = re.sub(r"--set ingest\.(\w+)=([\d.]+),([\d.]+)", r"\1=(\2, \3)", plain)
        plain = plain.replace("--set ingest.", "")
        if plain == text:
            raise
        raise type(error)(plain) from error


def _source(ratings: Data) -> Source:
    if isinstance(ratings, str | Path):
        return datasets.resolve(str(ratings), cache_dir=CACHE.expanduser())
    return Source("ratings", "", "", None)


def _as_file(table: Data, side: Side, out: Path) -> Path:
    if isinstance(table, str | Path):
        return Path(table).expanduser()
    path = out / f"given-{side}s.parquet"
    pq.write_table(as_arrow(table, f"{side}s"), path)
    return path


def _titles(source: Source, items: Data | None) -> pa.Table | None:
    if items is not None and not isinstance(items, str | Path):
        return titles_of(as_arrow(items, "items"))
    path = choose_titles(None if items is None else Path(items), source.titles)
    return None if path is None else datasets.read_titles(path)
