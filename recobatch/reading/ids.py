"""Columns of raw ids → distinct values and codes."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recobatch.reading.raw import NAN_TEXTS, NULL_TEXTS, Ids


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


def ids_from_texts(column: pa.ChunkedArray, *, nulls_are_read: bool = False) -> Ids:
    """Ids of a text column (string or bytes, dictionary-encoded or not): trimmed, decoded, still texts.

    Bytes are UTF-8, or Latin-1 if no id of the column is non-ASCII UTF-8; where both occur, the ids that
    are not UTF-8 are unreadable.

    Args:
        column: The texts.
        nulls_are_read: Whether texts such as ``NULL`` and ``nan`` are nulls of the column already. Those that are left
            were in quotation marks and are ids, unless there is white space around them. Otherwise ``nan`` alone is
            null, which pandas writes for a missing text.
    """
    codes, values = recoded(column)
    texts, readable = _decoded(values)
    trimmed = pc.utf8_trim_whitespace(texts)
    encoded = trimmed.dictionary_encode()
    place = encoded.indices.to_numpy().astype(np.int32)
    # A stray quotation mark joins lines to one field, which is not an id.
    readable &= ~pc.match_substring_regex(trimmed, "[\\r\\n]").to_numpy(zero_copy_only=False)
    missing = _means_null(texts, trimmed) if nulls_are_read else _is_among(trimmed, ("", *NAN_TEXTS))
    place[missing] = Ids.NULL
    place[~readable] = Ids.UNREADABLE
    place = np.append(place, np.int32(Ids.NULL))  # for code -1
    return Ids(place[codes], encoded.dictionary)


def _means_null(texts: pa.Array, trimmed: pa.Array) -> np.ndarray:
    is_padded = pc.not_equal(texts, trimmed).to_numpy(zero_copy_only=False)
    return _is_among(trimmed, ("",)) | (is_padded & _is_among(trimmed, NULL_TEXTS + NAN_TEXTS))


def _is_among(texts: pa.Array, wanted: tuple[str, ...]) -> np.ndarray:
    return pc.is_in(texts, value_set=pa.array(wanted, texts.type)).to_numpy(zero_copy_only=False)


def _decoded(values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    readable = np.ones(len(values), dtype=bool)
    values = values.cast(pa.binary())  # of a parquet file's strings, nobody has checked that they are UTF-8
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
