"""Plain arrays as an ``.npz`` file with a fingerprint beside them; nothing is pickled."""

import hashlib
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from recobatch.errors import BadTable

FINGERPRINT = "fingerprint"
"""Name of the array that holds it."""
_LOCAL_HEADER = 30
"""Bytes before the name of a file in a zip file; the last four are the lengths of the name and of what follows it."""


def fingerprint_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Sha256 over the name, type, shape and content of every array, in their order: 64 hex digits."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name}:{array.dtype.str}:{array.shape}:".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, compressed: bool = False) -> None:
    """Write arrays, none of them called ``fingerprint``, and their fingerprint."""
    save = np.savez_compressed if compressed else np.savez
    with path.open("wb") as file:
        save(file, **dict(arrays), fingerprint=np.array(fingerprint_arrays(arrays)), allow_pickle=False)


@contextmanager
def open_arrays(path: Path, noun: str, *, verify: bool = True) -> Iterator[dict[str, Any]]:
    """Read the arrays of a file; within the block, a missing or unfit array is an error of the file too.

    Args:
        path: Written by ``save_arrays``, or by an earlier release without a fingerprint.
        noun: What the file holds, for messages.
        verify: Whether the content is compared with its fingerprint; not where its bytes were checked already.

    Raises:
        BadTable: If the file cannot be read, differs from its fingerprint, or lacks an array.
    """
    hint = "expected a file saved by recobatch; train again"
    try:
        arrays = _read(path)
    except MemoryError:
        raise
    except Exception as error:  # zipfile and numpy raise a dozen kinds for damaged files
        raise BadTable(f"{path}: found no {noun} ({error}), {hint}") from error
    try:
        content = {name: array for name, array in arrays.items() if name != FINGERPRINT}
        if verify and len(content) < len(arrays) and fingerprint_arrays(content) != str(arrays[FINGERPRINT]):
            raise BadTable(
                f"{path}: found {noun} whose content differs from its fingerprint, the file was changed; train again"
            )
        yield arrays
    except (ValueError, KeyError) as error:
        raise BadTable(f"{path}: found no {noun} ({error}), {hint}") from error


def _read(path: Path) -> dict[str, Any]:
    """All arrays of a file. Those that are not compressed are read at once: the zip file's way takes six times as long.

    Their checksums are compared where there is no fingerprint, which says more.
    """
    with np.load(path, allow_pickle=False) as file, path.open("rb") as raw:
        assert file.zip is not None, "it is open"
        parts = {info.filename.removesuffix(".npy"): info for info in file.zip.infolist()}
        by_zip = FINGERPRINT not in parts
        return {
            name: file[name] if by_zip or info.compress_type else _read_stored(raw, info.header_offset)
            for name, info in parts.items()
        }


def _read_stored(raw: BinaryIO, offset: int) -> np.ndarray:
    raw.seek(offset)
    header = raw.read(_LOCAL_HEADER)
    if len(header) < _LOCAL_HEADER:
        raise zipfile.BadZipFile("a file in it begins behind its end")
    raw.seek(sum(struct.unpack("<HH", header[26:30])), os.SEEK_CUR)
    return np.lib.format.read_array(raw, allow_pickle=False)
