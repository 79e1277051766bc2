"""Where the table lies, without the cost of the whole settings tree."""

import os
import tomllib
from pathlib import Path


def configured_table_path() -> Path:
    """``RECOBATCH_TABLE__PATH``, else ``table.path`` in recobatch.toml, else ``predictions``."""
    if path := os.environ.get("RECOBATCH_TABLE__PATH"):
        return Path(path)
    try:
        table = tomllib.loads(Path("recobatch.toml").read_text(encoding="utf-8")).get("table", {})
    except (OSError, ValueError):
        return Path("predictions")
    return Path(table.get("path", "predictions"))
