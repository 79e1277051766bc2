"""Files of ratings that are refused, and the places where they lie."""

from pathlib import Path

from recobatch.ingest import IngestOptions
from tests.support.bad_input.kind import FILE, Kind
from tests.support.bad_ratings import GOOD, ONE, parquet
from tests.support.bad_ratings import REFUSED as REFUSED_FILES


def _file(name: str) -> Kind:
    """A kind of file that the tests of the ingest know already."""
    content, options, words = REFUSED_FILES[name]
    arguments = []
    for key, value in options.items():
        section = "ingest" if key in IngestOptions.model_fields else "data"
        text = ",".join(map(str, value)) if isinstance(value, tuple) else value
        arguments.append(f"--set={section}.{key}={text}")
    return Kind(("run", FILE, *arguments), words, content=content)


def _files(here: Path, **files: bytes) -> None:
    """Make ``folder`` with some files in it."""
    (here / "folder").mkdir()
    for name, content in files.items():
        path = here / "folder" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


REFUSED: dict[str, Kind] = {
    # The file.
    "an empty file": _file("empty file"),
    "a header and nothing below": _file("header only"),
    "the wrong delimiter (`--delimiter ';'`)": _file("wrong delimiter"),
    "no delimiter": _file("no delimiter"),
    "two columns": _file("two columns"),
    "a missing column": _file("missing column"),
    "two columns for one thing": _file("two columns for the item"),
    "a column that is not there": _file("no such column"),
    "a million columns": _file("a million columns"),
    "a line without end": _file("a line without end"),
    "ragged rows": _file("ragged rows"),
    "UTF-16": _file("UTF-16"),
    "a binary file": _file("binary"),
    "a pickle": _file("pickle"),
    "JSON lines": _file("JSON lines"),
    "a web page": _file("a web page"),
    "an Excel workbook": _file("Excel"),
    "a zip with two files": _file("zip of two"),
    "a zip with a password": _file("a zip with a password"),
    "a zip of an unknown method": _file("a zip of an unknown method"),
    "gzip that is cut off": _file("gzip that is cut off"),
    "bz2 with a flipped bit in its second stream": _file("bz2 with a flipped bit in its second stream"),
    "xz with a flipped bit in its second stream": _file("xz with a flipped bit in its second stream"),
    "gzip that grows beyond `ingest.max_bytes`": _file("gzip that grows beyond the limit"),
    "parquet that grows beyond `ingest.max_bytes`": _file("parquet that grows beyond the limit"),
    "parquet that is cut off": _file("parquet that is cut off"),
    "an empty folder": Kind(("run", "folder"), "found an empty directory", spoil=lambda here: _files(here)),
    "a folder with a file of another kind": Kind(
        ("run", "folder"), "found 1 of 2 files that are neither csv nor parquet by name (README.md)",
        spoil=lambda here: _files(here, **{"a.csv": GOOD, "README.md": b"# Ratings\n"}),
    ),
    "a folder of csv and parquet": Kind(
        ("run", "folder"), "folder/b.parquet: found a parquet file beside a text file (a.csv)",
        spoil=lambda here: _files(here, **{"a.csv": GOOD, "b.parquet": parquet(user=ONE, item=ONE, rating=ONE)}),
    ),
    "a folder of files with other columns": Kind(
        ("run", "folder"), "folder/b.csv: found columns 'user' (user), 'film' (item), 'stars' (rating), expected",
        spoil=lambda here: _files(here, **{"a.csv": GOOD, "b.csv": b"user,film,stars\n1,2,3\n"}),
    ),
    "a folder with a damaged file": Kind(
        ("run", "folder"), "folder/b.parquet: found a damaged parquet file",
        spoil=lambda here: _files(here, **{"a.parquet": parquet(user=ONE, item=ONE, rating=ONE), "b.parquet": b"PAR1"}),
    ),
    "a Delta table": Kind(
        ("run", "folder"), "found a table in Delta's format (_delta_log/00000000000000000000.json)",
        spoil=lambda here: _files(here, **{"_delta_log/00000000000000000000.json": b"{}", "a.parquet": b"PAR1"}),
    ),
    "an Iceberg table": Kind(
        ("run", "folder"), "found a table in Iceberg's format (metadata/v1.metadata.json)",
        spoil=lambda here: _files(here, **{"metadata/v1.metadata.json": b"{}", "data/a.parquet": b"PAR1"}),
    ),
    "a glob that nothing matches": Kind(("run", "folder/*.csv"), "found no file that matches"),
    "a missing path": Kind(("run", "no/such.csv"), "found nothing there"),
    "a misspelt dataset": Kind(("run", "movielens-100"), "found neither a dataset nor a file of this name"),
    "a dataset with `..` in it": Kind(("run", "movielens-100k/../../u.data"), "found nothing there"),
    "a file without permission": Kind(
        ("run", FILE), "found a file that this user may not read (permission denied)",
        content=b"user,item,rating\n1,2,3\n", spoil=lambda here: (here / FILE).chmod(0),
    ),
    "a password in an address": Kind(
        ("run", "https://ann:secret@host/ratings.csv"), "found a password or signature in the address data.ratings="
    ),
    # The ratings.
    "null ids": _file("null ids"),
    "null ids with blanks around them": _file("null ids with blanks around them"),
    "ids in two encodings in parquet": _file("ids in two encodings in parquet"),
    "null ratings": _file("null ratings"),
    "ratings that are NaN": _file("NaN"),
    "infinite ratings": _file("infinity"),
    "ratings beyond 1e9": _file("ratings beyond 1e9"),
    "text ratings": _file("text ratings"),
    "decimal commas": _file("decimal commas"),
    "times in another format": _file("another time format"),
    "ratings outside the range": _file("out of the range"),
    "nothing but duplicates": _file("all duplicates"),
    "fractional ids": _file("fractional ids"),
    "one item": Kind(
        ("run", FILE), "40 ratings by 40 users of 1 items, too few for the test part", late=True,
        content=b"user,item,rating\n" + b"".join(b"%d,1,%d\n" % (n, 1 + n % 5) for n in range(40)),
    ),
    "one rating": Kind(
        ("run", FILE), "1 ratings by 1 users of 1 items, too few", late=True, content=b"user,item,rating\n1,1,3\n"
    ),
    "one rating value only": Kind(
        ("run", FILE, "--set=train.epochs=1", "--set=models=explicit_mf_bias"),
        "gate.baseline: found test MSE 0.0000 of the champion", code=3, late=True,
        content=b"user,item,rating\n" + b"".join(b"%d,%d,3\n" % (n % 7, n) for n in range(70)),
    ),
}  # fmt: skip
