"""The tables of docs/schema.md, from files as they are written: ``python -m tools.schema_tables docs/schema.md``."""

import ast
import inspect
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.factors import FactorModel, Link
from recobatch.model_folder import LoadedModel
from recobatch.rated import RatedPairs
from recobatch.scoring.predictions import ScoreOptions, score_shard
from recobatch.scoring.shards import DESCRIPTION
from recobatch.scoring.top import top_shard
from recobatch.table.manifest import Column, FileEntry, Manifest, ModelFacts
from recobatch.vocabulary import Vocabulary
from tools.settings_table import between_markers

Description = dict[str, list[str]]
"""Of each column: its type, how it is stored, and its meaning."""


def with_schema(page: str) -> str:
    """A page with every generated table between its two markers."""
    with tempfile.TemporaryDirectory() as folder:
        files = [_write_files(Path(folder), ids) for ids in (pa.array([1, 2]), pa.array(["a", "b"]))]
    tables = {
        "predictions": _columns([predictions for predictions, _ in files]),
        "top": _columns([top for _, top in files]),
        "manifest": _fields(Manifest),
        "manifest-models": _fields(ModelFacts),
        "manifest-files": _fields(FileEntry),
        "manifest-columns": _fields(Column),
    }
    for name, table in tables.items():
        page = between_markers(page, name, table)
    return page


def describe(path: Path) -> Description:
    """What a parquet file says of its columns: types and encodings from the footer, meanings from the schema."""
    footer = pq.read_metadata(path)
    group, schema = footer.row_group(0), footer.schema.to_arrow_schema()
    return {
        field.name: [
            _type(field.type),
            _storage(group.column(place)),
            (field.metadata or {}).get(DESCRIPTION.encode(), b"").decode(),
        ]
        for place, field in enumerate(schema)
    }


def _type(type_: pa.DataType) -> str:
    if pa.types.is_dictionary(type_):
        return f"`{type_.value_type}` (dictionary)"
    return f"`{type_}`"


def _storage(chunk: pq.ColumnChunkMetaData) -> str:
    # A footer also lists how levels and dictionaries are written, which tells a reader nothing.
    telling = [encoding for encoding in chunk.encodings if encoding not in {"RLE", "PLAIN"}]
    return f"{chunk.physical_type}, {' and '.join(telling) or 'PLAIN'}, {chunk.compression}"


def _columns(variants: list[Description]) -> str:
    """One table for a file with integer ids and one with text ids."""
    rows = ["| column | type | meaning | stored as |", "|---|---|---|---|"]
    for name in variants[0]:
        kinds, storage, meanings = (
            list(dict.fromkeys(cell)) for cell in zip(*(variant[name] for variant in variants), strict=True)
        )
        rows.append(f"| `{name}` | {' or '.join(kinds)} | {meanings[0]} | {'; or '.join(storage)} |")
    return "\n".join(rows)


def _fields(record: type) -> str:
    """The fields of a dataclass with the docstrings below them."""
    rows = ["| field | meaning |", "|---|---|"]
    rows += [
        f"| `{name}` | {' '.join(meaning.split()).rstrip('.').replace('|', chr(92) + '|')} |"
        for name, meaning in _field_docs(record)
    ]
    return "\n".join(rows)


def _field_docs(record: type) -> Iterator[tuple[str, str]]:
    definition = ast.parse(textwrap.dedent(inspect.getsource(record))).body[0]
    for field, below in pairwise(ast.iter_child_nodes(definition)):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            yield ast.unparse(field.target), str(ast.literal_eval(below.value))


def _write_files(folder: Path, ids: pa.Array) -> tuple[Description, Description]:
    """The two kinds of file for two users and two items."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    zeros = np.zeros(2, np.float32)
    model = FactorModel(zeros[:, None], zeros[:, None], zeros, zeros, 0.0, Link.IDENTITY, 1.0, 5.0)
    unrated = RatedPairs(np.zeros(3, np.int64), np.zeros(0, np.int32), 2)
    inputs = LoadedModel(model, Vocabulary(ids), Vocabulary(ids), unrated).save(folder)
    predictions, top = folder / "predictions.parquet", folder / "top.parquet"
    score_shard(inputs, slice(0, 2), predictions, metadata={}, options=ScoreOptions())
    top_shard(inputs, slice(0, 2), top, metadata={})
    return describe(predictions), describe(top)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(with_schema(path.read_text(encoding="utf-8")), encoding="utf-8")
