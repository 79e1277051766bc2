"""Generated tables in markdown pages, each between two markers."""

from collections.abc import Callable, Iterable
from pathlib import Path


def between_markers(page: str, name: str, text: str) -> str:
    """A page with ``text`` between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: If the page lacks one of these two markers.
    """
    before, opening, rest = page.partition(f"<!-- {name} -->")
    _, closing, after = rest.partition(f"<!-- /{name} -->")
    if not opening or not closing:
        raise ValueError(f"found no <!-- {name} --> and <!-- /{name} --> in the page, expected both; add them")
    return f"{before}{opening}\n{text}\n{closing}{after}"


def cell(text: str) -> str:
    """Text on one line for a cell of a table, without a full stop."""
    return " ".join(text.split()).replace("|", "\\|").rstrip(".")


def rewrite(pages: Iterable[str], update: Callable[[str], str]) -> None:
    """Update files in place."""
    for path in map(Path, pages):
        path.write_text(update(path.read_text(encoding="utf-8")), encoding="utf-8")
