"""The table of settings in the docs; ``python -m tools.settings_table docs/settings.md`` updates it."""

import sys
from pathlib import Path

from pydantic.fields import FieldInfo

from flows.settings.tree import walk_fields


def settings_table() -> str:
    """Every setting with its default and meaning, as markdown."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    rows += [f"| `{key}` | {_default(field)} | {_meaning(field)} |" for key, field in walk_fields()]
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "–"
    return f"`{','.join(map(str, value))}`" if isinstance(value, tuple) else f"`{value}`"


def _meaning(field: FieldInfo) -> str:
    text = " ".join((field.description or "").split()).replace("|", "\\|").rstrip(".")
    return text[:1].upper() + text[1:]


def with_settings(page: str) -> str:
    """A page with the table of settings between its two markers."""
    return between_markers(page, "settings", settings_table())


def between_markers(page: str, name: str, text: str) -> str:
    """A page with ``text`` between ``<!-- name -->`` and ``<!-- /name -->``.

    Raises:
        ValueError: If the page lacks one of the markers.
    """
    before, opening, rest = page.partition(f"<!-- {name} -->")
    _, closing, after = rest.partition(f"<!-- /{name} -->")
    if not opening or not closing:
        raise ValueError(f"found no <!-- {name} --> and <!-- /{name} --> in the page, expected both; add them")
    return f"{before}{opening}\n{text}\n{closing}{after}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(with_settings(path.read_text(encoding="utf-8")), encoding="utf-8")
