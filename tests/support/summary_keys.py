"""The keys that docs/cli.md says a summary has."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from tests.support.paths import REPO


def undocumented(summary: Mapping[str, object]) -> list[str]:
    """Dotted keys of a summary that the page does not name."""
    page = (REPO / "docs" / "cli.md").read_text(encoding="utf-8")
    named = [key for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for key in re.findall(r"`([^`]+)`", row)]
    assert len(named) > 30
    return [key for key in _leaves(summary) if not any(fnmatchcase(key, pattern) for pattern in named)]


def _leaves(tree: Mapping[str, object], path: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}{key}.")
        elif not isinstance(value, Mapping):
            yield f"{path}{key}"
