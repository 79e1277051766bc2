"""The tables of docs/schema.md, from files as they are written: ``python -m tools.schema_tables docs/schema.md``."""

import inspect
import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recobatch.factors import FactorModel, Link
from recobatch.model_folder import LoadedModel
from recobatch.rated import RatedPairs
from recobatch.scoring.columns import with_field_ids
from recobatch.scoring.predictions import ScoreOptions, score_shard
from recobatch.scoring.shards import DESCRIPTION
from recobatch.scoring.top import top_shard
from recobatch.scoring.uncertainty import item_table, user_table
from recobatch.table.changes import write_between
from recobatch.table.manifest import Column, FileEntry, Manifest, ModelFacts
from recobatch.vocabulary import Vocabulary
from tools.markdown import between_markers, cell, rewrite

_RECORDS = {
    "manifest": Manifest,
    "manifest-models": ModelFacts,
    "manifest-files": FileEntry,
    "manifest-columns": Column,
}
_FIELD = re.compile(r'^    (\w+): [^\n]*\n    """(.+?)"""', re.MULTILINE | re.DOTALL)


def with_schema(page: str) -> str:
    """A page with every generated table between its two markers."""
    with tempfile.TemporaryDirectory() as folder:
        variants = [write_files(Path(folder, str(ids.type)), ids) for ids in (pa.array([1, 2]), pa.array(["a", "b"]))]
        for name in ("predictions", "top", "changes", "users", "items"):
            table = _columns_table(*(describe(files / f"{name}.parquet") for files in variants))
            page = between_markers(page, name, table)
    for name, record in _RECORDS.items():
        rows = [f"| `{field}` | {cell(text)} |" for field, text in _FIELD.findall(inspect.getsource(record))]
        page = between_markers(page, name, "\n".join(["| field | meaning |", "|---|---|", *rows]))
    return page


def describe(path: Path) -> dict[str, tuple[str, str, str]]:
    """Type, storage and meaning of each column of a parquet file, from its footer and schema."""
    footer = pq.read_metadata(path)
    return {
        field.name: (
            _type(field.type), _storage(footer.row_group(0).column(place)),
            (field.metadata or {}).get(DESCRIPTION.encode(), b"").decode(),
        )
        for place, field in enumerate(footer.schema.to_arrow_schema())
    }  # fmt: skip


def _type(type_: pa.DataType) -> str:
    return f"`{type_.value_type}` (dictionary)" if pa.types.is_dictionary(type_) else f"`{type_}`"


def _storage(chunk: pq.ColumnChunkMetaData) -> str:
    # A footer also lists the encodings of levels and dictionary pages, which are no property of the column.
    encodings = [encoding for encoding in chunk.encodings if encoding not in {"RLE", "PLAIN"}]
    return f"{chunk.physical_type}, {' and '.join(encodings) or 'PLAIN'}, {chunk.compression}"


def _columns_table(*variants: dict[str, tuple[str, str, str]]) -> str:
    """One table for files of the same columns, one with integer ids and one with text ids."""
    rows = ["| column | type | meaning | stored as |", "|---|---|---|---|"]
    for name in variants[0]:
        types, storages, meanings = (dict.fromkeys(cells) for cells in zip(*(v[name] for v in variants), strict=True))
        rows.append(f"| `{name}` | {' or '.join(types)} | {next(iter(meanings))} | {'; or '.join(storages)} |")
    return "\n".join(rows)


def write_files(folder: Path, ids: pa.Array) -> Path:
    """Write one file of each table, ``<table>.parquet``, for two users and two items."""
    zeros = np.zeros(2, np.float32)
    model = FactorModel(zeros[:, None], zeros[:, None], zeros, zeros, 0.0, Link.IDENTITY, 1.0, 5.0)
    unrated = RatedPairs(np.zeros(3, np.int64), np.zeros(0, np.int32), 2)
    folder.mkdir()
    inputs = LoadedModel(model, Vocabulary(ids), Vocabulary(ids), unrated).save(folder)
    score_shard(inputs, slice(0, 2), folder / "predictions.parquet", metadata={}, options=ScoreOptions())
    top_shard(inputs, slice(0, 2), folder / "top.parquet", metadata={})
    top_shard(inputs, slice(0, 2), folder / "before.parquet", metadata={}, k=1)
    write_between([folder / "before.parquet"], [folder / "top.parquet"], folder / "changes.parquet", {})
    loaded = inputs.load()
    for name, table in (("users", user_table(loaded, None)), ("items", item_table(loaded, None))):
        pq.write_table(table.cast(with_field_ids(table.schema)), folder / f"{name}.parquet", compression="zstd")
    return folder


if __name__ == "__main__":
    rewrite(sys.argv[1:], with_schema)
