"""Clean ratings → vocabularies and parquet."""

import contextlib
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.ingest.text_ids import CANONICAL_INTEGER
from recobatch.interactions import RAW_COLUMNS
from recobatch.reading import RawRatings
from recobatch.vocabulary import Vocabulary


def vocabulary_of(values: pa.Array, counts: np.ndarray) -> tuple[Vocabulary, np.ndarray]:
    """Vocabulary of the values that occur, and the index of each value: int32, shape ``(len(values),)``.

    Strings become integers if every one is the canonical form of an int64 ("7", not "007" nor "+7").

    Args:
        values: Distinct ids, int64 or string.
        counts: How often each occurs.
    """
    used = np.flatnonzero(counts)
    ids = values.take(pa.array(used))
    if pa.types.is_string(ids.type) and pc.all(pc.match_substring_regex(ids, CANONICAL_INTEGER)).as_py():
        with contextlib.suppress(pa.ArrowInvalid):  # nineteen digits may exceed int64
            ids = ids.cast(pa.int64())
    vocabulary = Vocabulary.build(ids)
    index = np.zeros(len(values), dtype=np.int32)
    index[used] = vocabulary.encode(ids)
    return vocabulary, index


class RatingsWriter:
    """Writes clean ratings, block by block, as one parquet file with ``RAW_COLUMNS``."""

    def __init__(self, path: Path, users: Vocabulary, items: Vocabulary) -> None:
        self._users, self._items = users, items
        kinds = {name: pa.int64() for name in RAW_COLUMNS} | {"rating": pa.float32()}
        kinds |= {"user_id": _stored_type(users), "item_id": _stored_type(items)}
        packed = [name for name, kind in kinds.items() if pa.types.is_integer(kind)]
        # Without the stored Arrow schema, a string column written from a dictionary reads back as plain strings.
        self._file = pq.ParquetWriter(
            path, pa.schema(kinds), compression="zstd", compression_level=1, store_schema=False,
            use_dictionary=[name for name in RAW_COLUMNS if name not in packed],
            column_encoding=dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def write(self, user_index: np.ndarray, item_index: np.ndarray, rating: np.ndarray, timestamp: np.ndarray) -> None:
        """Add rows: indices, float32 ratings, int64 Unix seconds or ``NO_TIME``; all of shape ``(n,)``."""
        unknown = timestamp == RawRatings.NO_TIME
        columns = [
            _decoded(self._users, user_index), _decoded(self._items, item_index),
            pa.array(rating), pa.array(timestamp, mask=unknown if unknown.any() else None),
        ]  # fmt: skip
        self._file.write_table(pa.table(columns, schema=self._file.schema))


def _stored_type(vocabulary: Vocabulary) -> pa.DataType:
    is_integer = pa.types.is_integer(vocabulary.ids.type)
    return vocabulary.ids.type if is_integer else pa.dictionary(pa.int32(), vocabulary.ids.type)


def _decoded(vocabulary: Vocabulary, index: np.ndarray) -> pa.Array:
    if pa.types.is_integer(vocabulary.ids.type):
        return pa.array(vocabulary.ids.to_numpy()[index])
    return pa.DictionaryArray.from_arrays(pa.array(index), vocabulary.ids)
