"""Every kind of bad and odd input with its outcome: the cases of the tests, and the table of docs/bad-input.md.

``python -m tests.support.bad_input docs/bad-input.md`` updates the table.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.bad_ratings import GOOD, ONE, parquet
from tests.support.bad_ratings import REFUSED as REFUSED_FILES
from tools.markdown import between_markers

FILE = "given"
"""Name of the file that a kind gives."""
TABLE = "table"
"""Name of a published table that a kind may spoil."""


@dataclass(frozen=True)
class Kind:
    """Something that is refused."""

    arguments: tuple[str, ...]
    """Of the command line, run in a folder of its own where ``TABLE`` is the table."""
    words: str
    """What the one line on stderr says, among other things."""
    code: int = 2
    late: bool = False
    """Whether the workspace may hold finished stages then, for another try; else every file is as it was."""
    content: bytes | None = None
    """Of the file ``FILE``, if there is to be one."""
    spoil: Callable[[Path], object] | None = None
    """Does the damage in the folder."""
    environment: tuple[tuple[str, str], ...] = ()


def _file(name: str) -> Kind:
    """A kind of file that the tests of the ingest know already."""
    content, options, words = REFUSED_FILES[name]
    ranges = [options["rating_range"]] if "rating_range" in options else []
    arguments = [f"--set=data.{key}={value}" for key, value in options.items() if key != "rating_range"]
    arguments += [f"--set=ingest.rating_range={low},{high}" for low, high in ranges]
    return Kind(("run", FILE, *arguments), words, content=content)


def _setting(*assignments: str, words: str) -> Kind:
    return Kind(("run", *(f"--set={one}" for one in assignments)), words)


def _files(here: Path, **files: bytes) -> None:
    """Make ``folder`` with some files in it."""
    (here / "folder").mkdir()
    for name, content in files.items():
        path = here / "folder" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def _parts(folder: Path) -> list[Path]:
    return sorted((folder / TABLE / "current").resolve().glob("table/*/*.parquet"))


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _edit_manifest(folder: Path) -> None:
    path = (folder / TABLE / "current").resolve() / "manifest.json"
    path.write_text(path.read_text().replace('"rows": ', '"rows": 1', 1))


def _forget_snapshot(folder: Path) -> None:
    (folder / TABLE / "current").unlink()
    (folder / TABLE / "current").symlink_to("versions/20200101T000000Z-abcdef")


def _add_part(folder: Path) -> None:
    part = _parts(folder)[0]
    part.with_name("part-99999-extra.parquet").write_bytes(part.read_bytes())


def _make_notes(folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "diary.txt").write_text("mine")


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
    "gzip that is cut off": _file("gzip that is cut off"),
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
    # The settings.
    "an unknown setting": _setting(
        "train.epoch=3", words="found the unknown setting train.epoch, expected one that exists; did you mean"
    ),
    "a setting out of range": _setting("train.epochs=0", words="train.epochs: found '0', expected: Input should be"),
    "a setting of another type": _setting("train.epochs=many", words="train.epochs: found 'many', expected: "),
    "split ratios beyond 1": _setting("split.ratios=0.8,0.4", words="found ratios (0.8, 0.4), expected two or three"),
    "a rating range upside down": _setting("ingest.rating_range=5,1", words="found 5 to 1, expected a lower end below"),
    "an unknown model": _setting("models=svd", words="found the model 'svd', expected some of explicit_mf"),
    "a search budget that is none": Kind(("tune", "--budget", "soon"), "--budget: found 'soon', expected a duration"),
    "a study that is a path": Kind(
        ("tune", "--model", "explicit_mf", "--study", "../up"), "--study: found '../up', expected letters"
    ),
    "an unknown preset": Kind(("run", "--preset", "newest"), "'newest' is not one of 'best', 'notebook', 'tuned'"),
    "an unknown command": Kind(("runn",), "No such command 'runn'"),
    "a workspace at another URI": Kind(
        ("run", FILE, "--set=work.path=ftp://host/x"), "work.path: found 'ftp://host/x', expected a folder or one of",
        content=b"user,item,rating\n1,2,3\n",
    ),
    "no value for a setting": _setting("train.epochs", words="found 'train.epochs', expected section.key=value"),
    "a misspelt variable": Kind(
        ("run",), "environment: found the unknown setting trian", environment=(("RECOBATCH_TRIAN__EPOCHS", "1"),)
    ),
    "a broken recobatch.toml": Kind(
        ("run",), "recobatch.toml: found no valid TOML",
        spoil=lambda here: (here / "recobatch.toml").write_text("train ="),
    ),
    "two ways to divide the ratings": Kind(
        ("evaluate", "--folds", "3", "--repeats", "2"), "found --repeats and --folds, expected one of them"
    ),
    "a horizon that is no length": Kind(
        ("evaluate", "--windows", "3", "--horizon", "month"), "found 'month', expected a number and h, d, w or y"
    ),
    # The table.
    "a table folder that is not ours": Kind(
        ("run", FILE, "--table", "notes"), "found 1 entries that are not of a prediction table (diary.txt)",
        content=b"user,item,rating\n1,2,3\n", spoil=_make_notes,
    ),
    "a file in place of the table": Kind(
        ("run", FILE, "--table", FILE), "found something that is no folder", content=b"user,item,rating\n1,2,3\n"
    ),
    "no table": Kind(("verify", "--table", "nowhere"), "nowhere: found no published snapshot"),
    "a manifest edited by hand": Kind(
        ("verify",), "found a manifest that differs from its own digest", spoil=_edit_manifest
    ),
    "a part file cut by a byte": Kind(
        ("verify",), " bytes, expected ", spoil=lambda here: _cut_off(_parts(here)[0])
    ),
    "a part file with a flipped bit": Kind(
        ("verify",), "found sha256 ", spoil=lambda here: _flip(_parts(here)[0])
    ),
    "a part file too many": Kind(
        ("verify",), "found a file that the manifest does not list", spoil=_add_part
    ),
    "a pointer to nowhere": Kind(
        ("verify",), "which is not there; expected a published snapshot", spoil=_forget_snapshot
    ),
    "a version that is a path": Kind(
        ("rollback", "../../etc"), "found '../../etc', expected a letter or digit"
    ),
    "a version that is not there": Kind(("rollback", "v1"), "found no version v1, expected one of "),
    "a model that is a path": Kind(
        ("top", "7", "--model", "../x"), "found no model '../x', expected one of "
    ),
    "changes of a first version": Kind(("changes",), "found no version before it, expected one to compare with"),
    "an export to another kind of file": Kind(
        ("export", "--to", "out.xlsx"), "found 'out.xlsx', expected a name that ends in .duckdb"
    ),
    "an export to another kind of server": Kind(
        ("export", "--to", "mysql://host/db"), "found an address of mysql, expected postgresql://… or a file"
    ),
    "an export to a Postgres server that is not there": Kind(
        ("export", "--to", "postgresql://ann:hush@127.0.0.1:1/db"), "//127.0.0.1:1/db: found no way to connect"
    ),
    "an export to a table of a bad name": Kind(
        ("export", "--to", "postgresql://127.0.0.1:1/db?table=a;b"), "found 'a;b' as the name of a table, expected "
    ),
    "an unknown user": Kind(("top", "nobody"), "found 'nobody', expected one of the users"),
    # The model.
    "no registered model": Kind(
        ("score", "--set=tracking.registered_model=nobody"), "found no champion of 'nobody', expected a registered one"
    ),
    "a model artifact with a wrong digest": Kind(
        ("score", "--set=tracking.registered_model=bad-input"), "factors.npz: found sha256 ",
        spoil=lambda here: [_flip(path) for path in (here / "mlruns").rglob("served/factors.npz")],
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Odd:
    """Something unusual in a file that is taken as it was meant."""

    gets: str
    of: str
    """The file among ``ODD_FILES`` that has it."""
    users: tuple[int | str, ...] = ()
    """Ids that the published table then has."""
    items: tuple[int | str, ...] = ()
    times: tuple[int | None, ...] = ()
    """Unix seconds that the clean ratings then have."""


TEXTS = {
    "quoted commas": ('"Doe, Jane"', "Doe, Jane", "part of the id"),
    "ids with spaces": (" ann b ", "ann b", "kept within, trimmed around"),
    "unicode ids": ("žluťoučký 😀", "žluťoučký 😀", "kept, no normal form is imposed"),
    "a formula as an id": ("=1+1", "=1+1", "text like any other"),
    "a path as an id": ("../../etc/passwd", "../../etc/passwd", "text: ids never become paths"),
    "ids of 2^63 and more": (str(2**63), str(2**63), "kept; the whole column is text"),
    "numbers and texts as ids": ("7", "7", "kept; the whole column is text"),
    "leading zeros": ("007", "007", "kept; the whole column is text"),
    "`null` in quotation marks": ('"null"', "null", "an id; bare it is none"),
}  # fmt: skip
NUMBERS = (-5, 0, 3, 2**63 - 1)
LONELY = 99
MILLISECONDS, FUTURE = 881_250_949_123, 32_503_680_000_000

ODD: dict[str, Odd] = {
    "a BOM, CRLF, blank lines": Odd("read past", "texts", users=("Doe, Jane",)),
    **{given: Odd(gets, "texts", users=(published,)) for given, (_, published, gets) in TEXTS.items()},
    "no header, tabs": Odd("user, item, rating, time in this order", "numbers", users=NUMBERS),
    "negative and zero ids": Odd("integers like any other", "numbers", users=(-5, 0), items=(-1, 0)),
    "a user with one rating": Odd("scored", "numbers", users=(LONELY,)),
    "milliseconds instead of seconds": Odd("turned to seconds", "numbers", times=(MILLISECONDS // 1000,)),
    "missing times": Odd("kept, the time is null", "numbers", times=(None,)),
    "future times": Odd("kept", "numbers", times=(FUTURE // 1000,)),
    "latin-1": Odd("decoded as Latin-1", "latin-1", users=("zoé",), items=("Misérables 3",)),
    "one user": Odd("trained on", "latin-1", users=("zoé",)),
}


def _texts() -> bytes:
    rows = [
        f"{written},{item},{1 + (len(written) + item) % 5}" for written, _, _ in TEXTS.values() for item in range(6)
    ]
    return ("\ufeff" + "\r\n\r\n".join(["user,item,rating", *rows]) + "\r\n").encode()


def _numbers() -> bytes:
    times = {(-5, -1): "", (0, 0): str(FUTURE)}
    pairs = [(user, item) for user in NUMBERS for item in range(-1, 6)] + [(LONELY, 0)]
    rows = [(u, i, 1 + (u + i) % 5, times.get((u, i), str(MILLISECONDS))) for u, i in pairs]
    return "".join("\t".join(map(str, row)) + "\n" for row in rows).encode()


def _latin() -> bytes:
    rows = "".join(f"zoé,Misérables {item},{1 + item % 5}\n" for item in range(10))
    return f"user,item,rating\n{rows}".encode("latin-1")


ODD_FILES = {"texts": _texts(), "numbers": _numbers(), "latin-1": _latin()}


def table() -> str:
    """Every kind with its exit code, as markdown."""
    rows = ["| what you give | exit | what you get |", "|---|---|---|"]
    rows += [f"| {given} | {kind.code} | {_quoted(kind.words)} |" for given, kind in REFUSED.items()]
    rows += [f"| {given} | 0 | {odd.gets} |" for given, odd in ODD.items()]
    return "\n".join(rows)


def _quoted(words: str) -> str:
    return f"`{words.strip()}`".replace("|", "\\|")


def with_table(page: str) -> str:
    """The page with the current table between its markers."""
    return between_markers(page, "bad input", table())


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
