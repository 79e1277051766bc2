"""Location of the table, a folder or a URI, without the start-up cost of the settings tree where possible."""

import os
import tomllib
from pathlib import Path


def configured_table_path() -> str:
    """``RECOBATCH_TABLE__PATH``, else ``table.path`` in recobatch.toml, else ``predictions``.

    A file that does not plainly name the path is read by the settings tree, which reports what is wrong with it.

    Raises:
        BadSettings: If recobatch.toml is no valid TOML, or a key or value in it is invalid.
    """
    if path := os.environ.get("RECOBATCH_TABLE__PATH"):
        return path
    try:
        table = tomllib.loads(Path("recobatch.toml").read_text(encoding="utf-8")).get("table")
    except FileNotFoundError:
        return "predictions"
    except (OSError, ValueError):
        table = None
    if isinstance(table, dict) and isinstance(path := table.get("path"), str) and table.keys() == {"path"}:
        return path
    from flows.settings.tree import load_settings  # lazy: pydantic and the models' options, for start-up

    return load_settings().table.path
