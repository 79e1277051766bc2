"""Plain arrays as an ``.npz`` file with a fingerprint beside them; nothing is pickled."""

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from recobatch.errors import BadTable

_FINGERPRINT = "fingerprint"


def fingerprint_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Sha256 over the name, type, shape and content of every array, in their order: 64 hex digits."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name}:{array.dtype.str}:{array.shape}:".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return digest.hexdigest()


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], *, compressed: bool = False) -> None:
    """Write arrays, none of them called ``fingerprint``, and their fingerprint."""
    save = np.savez_compressed if compressed else np.savez
    with path.open("wb") as file:
        save(file, **dict(arrays), fingerprint=np.array(fingerprint_arrays(arrays)), allow_pickle=False)


@contextmanager
def open_arrays(path: Path, noun: str) -> Iterator[dict[str, Any]]:
    """Read the arrays of a file; within the block, a missing or unfit array is an error of the file too.

    Args:
        path: Written by ``save_arrays``, or by an earlier release without a fingerprint.
        noun: What the file holds, for messages.

    Raises:
        BadTable: If the file cannot be read, differs from its fingerprint, or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        expected = arrays.pop(_FINGERPRINT, None)
        if expected is not None and fingerprint_arrays(arrays) != str(expected):
            raise BadTable(
                f"{path}: found {noun} whose content differs from its fingerprint, the file was changed; train again"
            )
        yield arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadTable(f"{path}: found no {noun} ({error}), expected a file saved by recobatch; train again") from error
