"""What a kind of bad input is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FILE = "given"
"""Name of the file that a kind gives."""
TABLE = "table"
"""Name of a published table that a kind may spoil."""


@dataclass(frozen=True)
class Kind:
    """Something that is refused."""

    arguments: tuple[str, ...]
    """Of the command line, run in a folder of its own where ``TABLE`` is the table."""
    words: str
    """What the one line on stderr says, among other things."""
    code: int = 2
    late: bool = False
    """Whether the workspace may hold finished stages then, for another try; else every file is as it was."""
    content: bytes | None = None
    """Of the file ``FILE``, if there is to be one."""
    spoil: Callable[[Path], object] | None = None
    """Does the damage in the folder."""
    environment: tuple[tuple[str, str], ...] = ()
