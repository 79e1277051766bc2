"""Find pickles, whatever they are called and however they are packed."""

import base64
import binascii
import io
import pickletools
import zipfile
from pathlib import Path

import numpy as np

_SUFFIXES = {".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle"}


def pickles_in(folder):
    """Every file below ``folder`` that is a pickle, holds one, or is called one."""
    return [
        found for path in sorted(folder.rglob("*")) if path.is_file() for found in _pickles(path.read_bytes(), path)
    ]


def _pickles(content, name):
    if Path(name).suffix in _SUFFIXES or _is_pickle(content):
        yield str(name)
    elif content[:6] == b"\x93NUMPY":
        if _holds_objects(content):
            yield str(name)
    elif zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from _pickles(archive.read(member), f"{name}!{member}")
    elif content and (decoded := _from_base64(content)):
        yield from _pickles(decoded, name)


def _from_base64(content):
    """As Prefect stores results; nothing where it is something else."""
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        return b""


def _is_pickle(content):
    """Whether it can be read as pickle opcodes to the very end, of any protocol."""
    stream = io.BytesIO(content)
    try:
        opcodes = [opcode.name for opcode, _, _ in pickletools.genops(stream)]
    except Exception:  # noqa: BLE001 - whatever it stumbles over, it is none
        return False
    return bool(opcodes) and (opcodes[0] == "PROTO" or not stream.read(1))


def _holds_objects(content):
    try:
        np.load(io.BytesIO(content), allow_pickle=False)
    except ValueError:
        return True
    return False
