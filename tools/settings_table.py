"""The table of settings in the docs; ``python -m tools.settings_table docs/settings.md`` updates it."""

import re
import sys

from pydantic.fields import FieldInfo

from flows.settings.tree import walk_fields
from tools.markdown import between_markers, cell, rewrite


def with_settings(page: str) -> str:
    """A page with every setting, its default and meaning, between its two markers."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for key, field in walk_fields():
        meaning = re.sub(r"\bNone\b", "`null`", cell(field.description or ""))
        rows.append(f"| `{key}` | {_default(field)} | {meaning[:1].upper()}{meaning[1:]} |")
    return between_markers(page, "settings", "\n".join(rows))


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "`null`"
    return f"`{','.join(map(str, value))}`" if isinstance(value, tuple) else f"`{value}`"


if __name__ == "__main__":
    rewrite(sys.argv[1:], with_settings)
