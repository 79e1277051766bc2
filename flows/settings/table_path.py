"""Where the table lies, a folder or a URI, without the cost of the whole settings tree."""

import os
import tomllib
from pathlib import Path


def configured_table_path() -> str:
    """``RECOBATCH_TABLE__PATH``, else ``table.path`` in recobatch.toml, else ``predictions``."""
    if path := os.environ.get("RECOBATCH_TABLE__PATH"):
        return path
    try:
        table = tomllib.loads(Path("recobatch.toml").read_text(encoding="utf-8")).get("table", {})
    except (OSError, ValueError):
        return "predictions"
    return str(table.get("path", "predictions"))
