"""The columns of published files: their field ids, by name.

Iceberg and other readers match columns by these ids instead of names; some read files without them as null. An id is
never given to another column.
"""

import pyarrow as pa

FIELD_ID = "PARQUET:field_id"
"""Key of pyarrow's field metadata for the id in the parquet schema."""

FIELD_IDS = {
    "user_id": 1, "item_id": 2, "prediction": 3, "rated": 4, "rank": 5, "score": 6, "title": 7, "change": 8,
    "rank_before": 9, "lower_90": 10, "upper_90": 11, "ratings": 12, "sd": 13,
}  # fmt: skip


def with_field_ids(schema: pa.Schema) -> pa.Schema:
    """A schema in which every known column has its id; other metadata stay."""
    for place, field in enumerate(schema):
        if field.name in FIELD_IDS:
            numbered = field.with_metadata({**(field.metadata or {}), FIELD_ID: str(FIELD_IDS[field.name])})
            schema = schema.set(place, numbered)
    return schema
