"""The command that repeats a batch."""

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from flows.settings import Settings, load_settings
from recobatch.addresses import masked, without_secrets

_BESIDE = ("preset", "data.ratings")
"""Settings with a place of their own on the command line."""


def repeat_command(name: str, settings: Settings) -> str:
    """What to type to have a batch again, all stages anew.

    Args:
        name: The command: ``run`` or ``train``.
        settings: The batch's. What its preset says is left out; addresses are shown without their secrets.

    Returns:
        A line for a POSIX shell, continued below for every setting that differs from the preset's.
    """
    preset = load_settings({"preset": settings.preset}, environment={}, toml=Path(os.devnull))
    usual = dict(_texts(preset.model_dump(mode="json")))
    words = ["recobatch", name, without_secrets(settings.data.ratings), "--fresh"]
    if settings.preset != Settings.model_fields["preset"].default:
        words += ["--preset", settings.preset]
    changed = [
        shlex.join(["--set", f"{key}={text}"])
        for key, text in _texts(settings.model_dump(mode="json"))
        if key not in _BESIDE and text != usual[key]
    ]
    return " \\\n  ".join([shlex.join(words), *changed])


def _texts(tree: Mapping[str, object], path: str = "") -> Iterator[tuple[str, str]]:
    """Every setting of a tree as ``--set`` takes it."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _texts(value, f"{path}{key}.")
        elif isinstance(value, list):
            yield f"{path}{key}", ",".join(map(str, value))
        else:
            yield f"{path}{key}", "null" if value is None else masked(str(value))
