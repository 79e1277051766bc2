"""Columns of raw ids → distinct values and codes."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.reading.raw import Ids

_NO_ID = ("", "NaN", "nan")


def recoded(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Codes (int32, -1 for null, one a row) and the distinct values they point at; dictionaries of chunks are merged.

    Dictionary columns without a row keep an empty dictionary.
    """
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    merged = column.unify_dictionaries().combine_chunks()
    if isinstance(merged, pa.ChunkedArray):  # combine_chunks keeps an empty column chunked
        merged = merged.chunk(0) if merged.num_chunks else pa.DictionaryArray.from_arrays(
            pa.array([], pa.int32()), pa.array([], column.type.value_type)
        )  # fmt: skip
    codes = merged.indices.fill_null(Ids.NULL).to_numpy(zero_copy_only=False)
    return codes.astype(np.int32, copy=False), merged.dictionary


def ids_from_texts(column: pa.ChunkedArray) -> Ids:
    """Ids of a text column (string or bytes, dictionary-encoded or not): trimmed, decoded, still texts.

    Bytes are UTF-8, or Latin-1 if no id of the column is non-ASCII UTF-8; where both occur, the ids that
    are not UTF-8 are unreadable.
    """
    codes, values = recoded(column)
    texts, readable = _decoded(values)
    trimmed = pc.utf8_trim_whitespace(texts)
    encoded = trimmed.dictionary_encode()
    place = encoded.indices.to_numpy().astype(np.int32)
    # A stray quotation mark joins lines to one field, which is not an id.
    readable &= ~pc.match_substring_regex(trimmed, "[\\r\\n]").to_numpy(zero_copy_only=False)
    missing = pc.is_in(trimmed, value_set=pa.array(_NO_ID, trimmed.type)).to_numpy(zero_copy_only=False)
    place[missing] = Ids.NULL
    place[~readable] = Ids.UNREADABLE
    place = np.append(place, np.int32(Ids.NULL))  # for code -1
    return Ids(place[codes], encoded.dictionary)


def _decoded(values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    readable = np.ones(len(values), dtype=bool)
    try:
        return values.cast(pa.string()), readable
    except pa.ArrowInvalid:
        pass
    texts = [_utf8(value) for value in values.to_pylist()]
    if any(text is not None and not text.isascii() for text in texts):
        readable = np.array([text is not None for text in texts])
        return pa.array([text or "" for text in texts], pa.string()), readable
    return pa.array([value.decode("latin-1") for value in values.to_pylist()], pa.string()), readable


def _utf8(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
