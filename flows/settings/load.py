"""Merge every source of settings into one tree.

Later wins: defaults, the preset, ``recobatch.toml``, ``RECOBATCH_SECTION__KEY`` variables, the command line.
"""

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from flows.settings.secrets import refuse_secrets, restore_secrets
from flows.settings.sources import (
    TOML_NAME,
    WEBHOOK_VARIABLE,
    from_assignments,
    from_environment,
    read_toml,
    webhook_address,
)
from flows.settings.tree import Settings, all_keys
from recobatch.addresses import masked
from recobatch.errors import BadSettings
from recobatch.models import KERAS_MODELS
from recobatch.training.recipe import PRESETS


def load_settings(
    given: Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
    *,
    environment: Mapping[str, str] = os.environ,
    toml: Path = Path(TOML_NAME),
) -> Settings:
    """Merge every source into one tree.

    An address with a password in it is taken from the environment alone. Where the tree is written as JSON, as Prefect
    does, it is redacted; a redacted address is replaced by the environment's own.

    Args:
        given: Nested values from the command line's own options; they win.
        assignments: ``section.key=value`` texts, as of ``--set``.
        environment: Where ``RECOBATCH_SECTION__KEY`` variables are looked up.
        toml: File with the same keys; a missing file is fine.

    Raises:
        BadSettings: If a key is unknown or a value is out of range; the message names the key and its source. Also if
            a password stands elsewhere than in the environment, or the webhook's variable holds no address.
    """
    of_environment = from_environment(environment)
    layers = _layers(given, assignments, of_environment, toml)
    for source, layer in layers:
        _check_known(layer, source)
        refuse_secrets(layer, of_environment, source)
    webhook_address(environment)  # checked now rather than when a failure is to be posted
    merged: dict[str, Any] = {}
    for _, layer in layers:
        _merge(merged, restore_secrets(layer, of_environment))
    tree = _preset(merged.get("preset", Settings.model_fields["preset"].default))
    _merge(tree, merged)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise BadSettings(_explain(error)) from None


def trace_settings(
    given: Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
    *,
    environment: Mapping[str, str] = os.environ,
    toml: Path = Path(TOML_NAME),
) -> tuple[Settings, dict[str, str]]:
    """The settings of ``load_settings``, and where the value of each comes from.

    Returns:
        The tree, and ``section.key`` → ``default``, ``preset NAME``, the file, the variable, ``--set`` or
        ``command line``.

    Raises:
        BadSettings: As ``load_settings``.
    """
    assignments = tuple(assignments)
    settings = load_settings(given, assignments, environment=environment, toml=toml)
    layers = _layers(given, assignments, from_environment(environment), toml)
    layers.insert(0, (f"preset {settings.preset}", _preset(settings.preset)))
    sources = dict.fromkeys(all_keys(), "default")
    for source, layer in layers:
        for key in _leaves(layer):
            variable = f"RECOBATCH_{key}".upper().replace(".", "__")
            sources[key] = variable if source == "environment" else source
    return settings, sources


def _layers(
    given: Mapping[str, Any] | None, assignments: Iterable[str], of_environment: Mapping[str, Any], toml: Path
) -> list[tuple[str, Mapping[str, Any]]]:
    """The sources, each with its name for messages; later ones win."""
    return [
        (str(toml), read_toml(toml)),
        ("environment", of_environment),
        ("--set", from_assignments(assignments)),
        ("command line", dict(given or {})),
    ]


def _leaves(layer: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in layer.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def settings_given(given: Mapping[str, Any], assignments: Iterable[str] = ()) -> dict[str, Any]:
    """Only what the command line sets, as JSON without secrets: the parameters of a deployment.

    What is left out is read from the environment and recobatch.toml when a run starts.
    """
    tree = from_assignments(assignments)
    _merge(tree, given)
    return Settings.model_validate(tree).model_dump(mode="json", exclude_unset=True)


def _preset(name: object) -> dict[str, Any]:
    """What a preset puts in place of the defaults; an unknown name is left to the validation."""
    if not isinstance(name, str) or name not in PRESETS:
        return {}
    preset = PRESETS[name]
    return {
        "model": preset.options.model_dump(exclude_defaults=True),
        "train": preset.recipe.model_dump(exclude_defaults=True),
        **_BESIDE_TRAINING.get(name, {}),
    }


_BESIDE_TRAINING: dict[str, dict[str, Any]] = {
    "notebook": {
        "models": list(KERAS_MODELS), "interest": {"method": "none"}, "gate": {"ranking": "warn"},
        "champion": {"validation_fraction": 0.0, "trained_on": "train"}, "split": {"method": "stratified"},
    },
    "tuned": {
        "models": list(KERAS_MODELS), "gate": {"baseline": "bias"}, "champion": {"validation_fraction": 0.0},
        "split": {"method": "stratified"},
    },
}  # fmt: skip
"""Settings of the presets that are no part of a recipe: the notebook has no model of interest, and its lists are worse
than popularity; its models are compared on the test part, and published as measured. Both keep file order."""


def _merge(target: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping):
            below = target.setdefault(key, {})
            if isinstance(below, dict):
                _merge(below, value)
                continue
        target[key] = value


def _check_known(layer: Mapping[str, Any], source: str, model: type[BaseModel] = Settings, path: str = "") -> None:
    for key, value in layer.items():
        name = f"{path}{key}"
        if name == "notify.webhook":
            raise BadSettings(
                f"{source}: found the secret {name}, expected it in the environment; set the variable "
                f"{WEBHOOK_VARIABLE}, or name a Prefect Secret block in notify.block"
            )
        if key not in model.model_fields:
            near = difflib.get_close_matches(name, [*Settings.model_fields, *all_keys()], n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists them all"
            raise BadSettings(f"{source}: found the unknown setting {name}, expected one that exists; {hint}")
        below = model.model_fields[key].annotation
        if isinstance(below, type) and issubclass(below, BaseModel):
            if not isinstance(value, Mapping):
                raise BadSettings(
                    f"{source}: found {name}={masked(repr(value))}, expected a key below it, as in {name}.key=value"
                )
            _check_known(value, source, below, f"{name}.")


def _explain(error: ValidationError) -> str:
    """The first error of a validation as one line: what was found, what was expected, where."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "settings"
    expected = first["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return masked(
        f"{where}: found {first['input']!r}, expected: {expected}{more}; fix it in --set, RECOBATCH_… or {TOML_NAME}"
    )
