"""The command that repeats a batch."""

import os
import shlex
from operator import attrgetter
from pathlib import Path

from flows.settings.load import load_settings
from flows.settings.tree import Settings, all_keys
from recobatch.addresses import masked_value, without_secrets

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
    usual = load_settings({"preset": settings.preset}, environment={}, toml=Path(os.devnull))
    words = ["recobatch", name, without_secrets(settings.data.ratings), "--fresh"]
    if settings.preset != Settings.model_fields["preset"].default:
        words += ["--preset", settings.preset]
    changed = [
        shlex.join(["--set", f"{key}={as_text(value(settings))}"])
        for key, value in ((key, attrgetter(key)) for key in all_keys() if key not in _BESIDE)
        if value(settings) != value(usual)
    ]
    return " \\\n  ".join([shlex.join(words), *changed])


def as_text(value: object) -> str:
    """A value as ``--set`` takes it, without passwords."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "null" if value is None else masked_value(value)
