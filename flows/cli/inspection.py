"""Commands that show how the job is set up: ``settings`` and ``models``. No Prefect, no MLflow, no TensorFlow."""

import ast
import importlib.util
import os
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from flows.cli.output import echo, echo_json


def print_settings(given: Mapping[str, Any], assignments: Sequence[str], *, as_json: bool) -> None:
    """Print every setting with its value and the source of it; addresses are shown without their secrets.

    Raises:
        BadSettings: If a setting is unknown or out of range.
    """
    from flows.settings.load import trace_settings  # lazy: --help needs no pydantic
    from flows.settings.repeat import as_text

    settings, sources = trace_settings(given, assignments)
    if as_json:
        stored = settings.model_dump(mode="json")
        values = {key: _value(stored, key) for key in sources}
        echo_json({"settings": {key: {"value": values[key], "source": sources[key]} for key in sources}})
        return
    shown = {key: as_text(attrgetter(key)(settings)) for key in sources}
    name_width, value_width = max(map(len, shown)), min(40, max(map(len, shown.values())))
    for key, value in shown.items():
        echo(f"{key:<{name_width}}  {value:<{value_width}}  {sources[key]}")


def _value(tree: Mapping[str, Any], key: str) -> object:
    value: Any = tree
    for part in key.split("."):
        value = value[part]
    return value


def print_models(*, as_json: bool) -> None:
    """Print every model that ``models`` can name, what it is, and the presets that train it."""
    from flows.settings.load import load_settings  # lazy, as above
    from recobatch.models import REGISTRY
    from recobatch.training import PRESETS

    trained = {name: load_settings({"preset": name}, environment={}, toml=Path(os.devnull)).models for name in PRESETS}
    models = {
        spec.name: {
            "title": spec.title,
            "summary": _summary(spec.module or spec.fit),
            "presets": [preset for preset, names in trained.items() if spec.name in names],
        }
        for spec in REGISTRY.values()
    }
    if as_json:
        echo_json({"models": models})
        return
    width = max(map(len, models))
    for name, model in models.items():
        echo(f"{name:<{width}}  {model['summary']} Presets: {', '.join(model['presets']) or 'none'}.")


def _summary(module: str) -> str:
    """First line of a module's docstring; the module, which would import Keras, is not imported."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    text = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]
