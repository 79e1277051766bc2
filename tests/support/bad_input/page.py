"""The table of docs/bad-input.md."""

from tests.support.bad_input import ratings, settings, tables
from tests.support.bad_input.kind import Kind
from tests.support.bad_input.odd import ODD
from tools.markdown import between_markers

REFUSED: dict[str, Kind] = {**ratings.REFUSED, **settings.REFUSED, **tables.REFUSED}


def table() -> str:
    """Every kind with its exit code, as markdown."""
    rows = ["| what you give | exit | what you get |", "|---|---|---|"]
    rows += [f"| {given} | {kind.code} | {_quoted(kind.words)} |" for given, kind in REFUSED.items()]
    rows += [f"| {given} | 0 | {odd.gets} |" for given, odd in ODD.items()]
    return "\n".join(rows)


def _quoted(words: str) -> str:
    return f"`{words.strip()}`".replace("|", "\\|")


def with_table(page: str) -> str:
    """The page with the current table between its markers."""
    return between_markers(page, "bad input", table())
