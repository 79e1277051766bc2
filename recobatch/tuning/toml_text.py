"""Settings as TOML, and their place in a file that a person wrote."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from recobatch.errors import BadSettings
from recobatch.models.search_space import Value

_SECTION = re.compile(r"\s*\[\s*(?P<name>[\w.-]+)\s*\]\s*(#.*)?")


def as_toml(settings: Mapping[str, Value], *, comment: str = "") -> str:
    """Settings by ``section.key`` as the text of a TOML file.

    Args:
        settings: Each key has one section.
        comment: Lines for the head of the file.
    """
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    for section, values in _by_section(settings).items():
        lines += ["", f"[{section}]", *(f"{key} = {_text(value)}" for key, value in values.items())]
    return "\n".join(lines).lstrip("\n") + "\n"


def merged_toml(text: str, settings: Mapping[str, Value], *, name: str) -> str:
    """The text of a TOML file with other values for some settings; its other lines and comments stay as they are.

    Args:
        text: Of the file; may be empty.
        settings: By ``section.key``.
        name: Of the file, for messages.

    Raises:
        BadSettings: If the file is no TOML, or holds one of the settings in another form than a line of its section.
    """
    try:
        expected = _updated(tomllib.loads(text), settings)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{name}: found no valid TOML ({error}), expected settings; fix or remove it") from None
    lines = text.splitlines()
    for section, values in _by_section(settings).items():
        lines = _with_section(lines, section, values)
    merged = "\n".join(lines).strip("\n") + "\n"
    if not _means(merged, expected):
        raise BadSettings(
            f"{name}: found settings that are not lines of their sections, expected key = value below [section]; write "
            f"them so, or copy the settings found by hand"
        )
    return merged


def _means(text: str, tree: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == tree
    except tomllib.TOMLDecodeError:  # a setting stands twice in it
        return False


def _with_section(lines: list[str], section: str, values: Mapping[str, Value]) -> list[str]:
    heads = [(number, match["name"]) for number, line in enumerate(lines) if (match := _SECTION.fullmatch(line))]
    place = next((index for index, (_, name) in enumerate(heads) if name == section), None)
    if place is None:
        return [*lines, "", f"[{section}]", *(f"{key} = {_text(value)}" for key, value in values.items())]
    start = heads[place][0] + 1
    end = heads[place + 1][0] if place + 1 < len(heads) else len(lines)
    body, left = [], dict(values)
    for line in lines[start:end]:
        key = line.partition("=")[0].strip()
        body.append(f"{key} = {_text(left.pop(key))}" if key in left else line)
    blank = len(body) - len("\n".join(body).rstrip().splitlines()) if body else 0
    at = len(body) - blank
    body[at:at] = [f"{key} = {_text(value)}" for key, value in left.items()]
    return [*lines[:start], *body, *lines[end:]]


def _by_section(settings: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    sections: dict[str, dict[str, Value]] = {}
    for name, value in settings.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = value
    return sections


def _updated(tree: Mapping[str, Any], settings: Mapping[str, Value]) -> dict[str, Any]:
    updated = {key: dict(value) if isinstance(value, Mapping) else value for key, value in tree.items()}
    for section, values in _by_section(settings).items():
        updated.setdefault(section, {}).update(values)
    return updated


def _text(value: Value) -> str:
    """A TOML value; JSON writes booleans, numbers and texts in the same way."""
    return json.dumps(value)
