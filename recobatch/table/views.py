"""SQL views of one version, for DuckDB and for Spark: the same names and columns in both."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from string import Template

from recobatch.table.layout import TITLES

DUCKDB_FILE = "views.sql"
SPARK_FILE = "views.spark.sql"

_MEANINGS = {
    "predictions": "every pair of every model",
    "champion": "every pair of the champion",
    "top": "the best unseen items of each user, of the champion",
    "titles": "what items are called",
    "changes": "what entered, left or moved in the lists since the version before",
}


@dataclass(frozen=True)
class _Dialect:
    name: str
    create: Callable[[str, str], str]
    """From a view's name and folder or file to a statement."""
    empty: Template
    """A statement for a view without rows, from its ``name`` and ``columns``."""
    types: dict[str, str]


def view_files(location: str, *, version: str, champion: str, files: Collection[str], item_type: str) -> dict[str, str]:
    """The views of a version as two files.

    A version without titles, lists or changes has views without rows in their place, so that queries stay the same. In
    one with lists alone, ``predictions`` and ``champion`` are those of the lists.

    Args:
        location: Path or URI of the version.
        version: Its name.
        champion: Its champion.
        files: Names of its parquet files, relative to it.
        item_type: Of ``item_id``, as pyarrow spells it.

    Returns:
        File name → text.
    """
    folders = {name.partition("/")[0] for name in files}
    main = "top" if "top" in folders and "table" not in folders else "table"  # the lists may be all there is
    places = {
        "predictions": main, "champion": f"{main}/model={champion}", "top": f"top/model={champion}",
        "titles": TITLES, "changes": "changes",
    }  # fmt: skip
    kind = "text" if item_type == "string" else "number"
    columns = {"top": _TOP, "titles": f"item_id {kind}, title text", "changes": _CHANGES}
    texts = {}
    for file, dialect in ((DUCKDB_FILE, _DUCKDB), (SPARK_FILE, _SPARK)):
        lines = [f"-- {dialect.name}: views of version {version}. They name its place: write it anew after a move."]
        for name, place in places.items():
            lines.append(f"\n-- {_MEANINGS[name]}")
            if any(known == place or known.startswith(f"{place}/") for known in files):
                lines.append(dialect.create(name, f"{location}/{place}"))
            else:
                named = " ".join(columns[name].replace("KIND", kind).split())
                lines.append(dialect.empty.substitute(name=name, columns=_typed(named, dialect.types)))
        texts[file] = "\n".join(lines) + "\n"
    return texts


_TOP = "user_id KIND, rank whole, item_id KIND, score real, prediction real, lower_90 real, upper_90 real"
_CHANGES = "user_id KIND, item_id KIND, change text, rank whole, rank_before whole, score real"


def _typed(columns: str, types: dict[str, str]) -> str:
    pairs = (column.split() for column in columns.split(", "))
    return ", ".join(f"CAST(NULL AS {types[kind]}) AS {name}" for name, kind in pairs)


_VIEW = Template("CREATE OR REPLACE VIEW $name AS SELECT * FROM $reader;")


def _duckdb_view(name: str, place: str) -> str:
    pattern = place if place.endswith(".parquet") else f"{place}/**/*.parquet"
    quoted = "'" + pattern.replace("'", "''") + "'"
    hive = "true" if name == "predictions" else "false"
    reader = f"read_parquet({quoted}, hive_partitioning = {hive})"
    return _VIEW.substitute(name=name, reader=reader)


def _spark_view(name: str, place: str) -> str:
    escaped = place.replace("\\", "\\\\").replace("'", "\\'")
    return f"CREATE OR REPLACE TEMPORARY VIEW {name} USING parquet OPTIONS (path '{escaped}');"


_DUCKDB = _Dialect(
    "DuckDB", _duckdb_view,
    Template("CREATE OR REPLACE VIEW $name AS SELECT $columns WHERE false;"),
    {"number": "BIGINT", "text": "VARCHAR", "whole": "INTEGER", "real": "FLOAT"},
)  # fmt: skip
_SPARK = _Dialect(
    "Spark", _spark_view,
    Template("CREATE OR REPLACE TEMPORARY VIEW $name AS SELECT $columns WHERE false;"),
    {"number": "BIGINT", "text": "STRING", "whole": "INT", "real": "FLOAT"},
)  # fmt: skip
