"""The data contract (Open Data Contract Standard 3), from files as they are written.

``python -m tools.data_contract docs/data-contract.odcs.yaml``
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from recobatch.scoring.shards import DESCRIPTION
from tools.schema_tables import write_files

_TABLES = {
    "predictions": (
        "table/model=*/*.parquet", "Every pair of a known user and a known item, exactly once per model.",
        ("user_id", "item_id"),
    ),
    "top": (
        "top/model=*/*.parquet", "The best items that a user has not rated, at most top.k (100) for each user.",
        ("user_id", "rank"),
    ),
    "changes": (
        "changes/*.parquet", "What entered, left or moved in the champion's lists since the version before.",
        ("user_id", "item_id"),
    ),
    "users": ("users.parquet", "What is known of each user of the champion.", ("user_id",)),
    "items": ("items.parquet", "What is known of each item of the champion.", ("item_id",)),
}  # fmt: skip
_LOGICAL = {"int64": "integer", "int32": "integer", "string": "string", "float": "number", "bool": "boolean"}


def contract() -> str:
    """The contract as YAML."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder, "files"), pa.array([1, 2]))
        tables = [_table(name, pq.read_schema(files / f"{name}.parquet")) for name in _TABLES]
    return yaml.safe_dump(_head() | {"schema": tables, "slaProperties": _SLA}, sort_keys=False, width=120)


_SLA = [
    {"property": "retention", "value": 3, "unit": "versions", "description": "Versions kept, as table.keep says"},
    {"property": "frequency", "value": 1, "unit": "d", "description": "As the schedule of the deployment says"},
]


def _head() -> dict[str, Any]:
    return {
        "apiVersion": "v3.0.2",
        "kind": "DataContract",
        "id": "recobatch-predictions",
        "name": "recobatch predictions",
        "version": "1.0.0",
        "status": "active",
        "description": {
            "purpose": "Predicted ratings of every user-item pair and the best items of each user, for other systems.",
            "usage": "Resolve predictions/current once, and read the files of that version to the end.",
            "limitations": "Predictions of the same pair differ between versions, since the models are trained again.",
        },
        "servers": [
            {"server": "folder", "type": "local", "path": "predictions/current/", "format": "parquet"},
        ],
    }


def _table(name: str, schema: pa.Schema) -> dict[str, Any]:
    place, meaning, key = _TABLES[name]
    return {
        "name": name,
        "logicalType": "object",
        "physicalName": place,
        "physicalType": "parquet",
        "description": meaning,
        "properties": [_property(field, key) for field in schema],
        "quality": [
            {
                "type": "text",
                "description": f"({', '.join(key)}) is unique within a version and model; recobatch verify checks it.",
            }
        ],
    }  # fmt: skip


def _property(field: pa.Field, key: tuple[str, ...]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "name": field.name,
        "logicalType": _LOGICAL[str(field.type)],
        "physicalType": str(field.type),
        "required": not field.nullable,
        "description": field.metadata[DESCRIPTION.encode()].decode(),
    }
    if field.name in ("user_id", "item_id"):
        about["description"] += "; string where an id of the ratings was no integer"
    if field.name in key:
        about |= {"primaryKey": True, "primaryKeyPosition": key.index(field.name) + 1}
    about["customProperties"] = [
        {"property": "parquetFieldId", "value": int(field.metadata[b"PARQUET:field_id"])}
    ]  # fmt: skip
    return about


if __name__ == "__main__":
    for path in sys.argv[1:]:
        Path(path).write_text(contract(), encoding="utf-8")
