"""One frozen tree of settings; the only reader of environment variables and TOML.

Later wins: defaults, the preset, ``recobatch.toml``, ``RECOBATCH_SECTION__KEY`` variables, the command line.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, ValidationError, field_validator, model_serializer
from pydantic.fields import FieldInfo

from flows.settings.credentials import kept_to_the_environment, shown, with_secrets_of
from flows.settings.sections import (
    DataSettings,
    LogSettings,
    NotifySettings,
    Section,
    TableSettings,
    TopSettings,
    WorkSettings,
)
from recobatch.addresses import masked
from recobatch.errors import BadSettings
from recobatch.evaluation.drift import DriftOptions
from recobatch.evaluation.gate import GateOptions
from recobatch.ingest import IngestOptions
from recobatch.models import MODEL_NAMES, ModelOptions
from recobatch.scoring.predictions import ScoreOptions
from recobatch.split import SplitOptions
from recobatch.tracking import TrackingOptions
from recobatch.training.recipe import PRESETS, Recipe

TOML_NAME = "recobatch.toml"
_PREFIX = "RECOBATCH_"
WEBHOOK_VARIABLE = "RECOBATCH_NOTIFY__WEBHOOK"
"""The address that failures are posted to. It is a secret and no setting: settings are shown, stored and logged."""
_NOT_SETTINGS = {"RECOBATCH_HOME", WEBHOOK_VARIABLE}
"""Variables beside the settings; RECOBATCH_HOME is the project folder, for the deployments of prefect.yaml."""


class Settings(Section):
    """Every setting of the job."""

    preset: Literal["notebook", "tuned"] = Field(default="notebook", description="Recipe to start from")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of everything random")
    models: tuple[str, ...] = Field(default=MODEL_NAMES, min_length=1, description="Models to train and compare")
    engine: Literal["threads", "dask"] = Field(
        default="threads", description="Who scores shards: threads of this process, or Dask's workers"
    )
    data: DataSettings = DataSettings()
    ingest: IngestOptions = IngestOptions()
    split: SplitOptions = SplitOptions()
    model: ModelOptions = ModelOptions()
    train: Recipe = Recipe()
    gate: GateOptions = GateOptions()
    drift: DriftOptions = DriftOptions()
    score: ScoreOptions = ScoreOptions()
    top: TopSettings = TopSettings()
    table: TableSettings = TableSettings()
    tracking: TrackingOptions = TrackingOptions()
    work: WorkSettings = WorkSettings()
    log: LogSettings = LogSettings()
    notify: NotifySettings = NotifySettings()

    @field_validator("models", mode="before")
    @classmethod
    def _known_models(cls, value: object) -> object:
        names = (value,) if isinstance(value, str) else value
        for name in names if isinstance(names, list | tuple) else ():
            if name not in MODEL_NAMES:
                raise ValueError(f"found the model {name!r}, expected some of {', '.join(MODEL_NAMES)}")
        return names

    @model_serializer(mode="wrap", when_used="json")
    def _shown(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As Prefect stores the settings with every flow run: no address holds a password."""
        return dict(shown(serialize(self)))


def load_settings(
    given: Mapping[str, Any] | None = None,
    assignments: Iterable[str] = (),
    *,
    environment: Mapping[str, str] = os.environ,
    toml: Path = Path(TOML_NAME),
) -> Settings:
    """Merge every source into one tree.

    An address with a password in it is taken from the environment alone. Where the tree is written as JSON, as Prefect
    does, the address is written without; given that, the environment's own is put back in its place.

    Args:
        given: Nested values from the command line's own options; they win.
        assignments: ``section.key=value`` texts, as of ``--set``.
        environment: Where ``RECOBATCH_SECTION__KEY`` variables are looked up.
        toml: File with the same keys; a missing file is fine.

    Raises:
        BadSettings: If a key is unknown or a value is out of range; the message names the key and its source. Also if
            a password stands elsewhere than in the environment, or the webhook's variable holds no address: better now
            than when there is something to tell.
    """
    of_environment = _from_environment(environment)
    layers = [
        (str(toml), _read_toml(toml)),
        ("environment", of_environment),
        ("--set", _from_assignments(assignments)),
        ("command line", dict(given or {})),
    ]
    for source, layer in layers:
        _check_known(layer, source)
        kept_to_the_environment(layer, of_environment, source)
    webhook_address(environment)
    merged: dict[str, Any] = {}
    for _, layer in layers:
        _merge(merged, with_secrets_of(of_environment, layer))
    tree = _preset(merged.get("preset", "notebook"))
    _merge(tree, merged)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise BadSettings(_explain(error)) from None


def webhook_address(environment: Mapping[str, str] = os.environ) -> str | None:
    """The address in ``RECOBATCH_NOTIFY__WEBHOOK``, for nothing but posting to it.

    Raises:
        BadSettings: If it is no address; the message does not show it.
    """
    address = environment.get(WEBHOOK_VARIABLE) or None
    if address is not None and not address.startswith(("http://", "https://")):
        raise BadSettings(f"{WEBHOOK_VARIABLE}: found no http:// or https:// address, expected one; mend or unset it")
    return address


def _preset(name: object) -> dict[str, Any]:
    """What a preset puts in place of the defaults; an unknown name is left to the validation."""
    if not isinstance(name, str) or name not in PRESETS:
        return {}
    preset = PRESETS[name]
    return {
        "model": preset.options.model_dump(exclude_defaults=True),
        "train": preset.recipe.model_dump(exclude_defaults=True),
        "gate": {"baseline": "bias"} if name == "tuned" else {},
    }


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadSettings(f"{path}: found no valid TOML ({error}), expected settings; mend or remove it") from None


def settings_given(given: Mapping[str, Any], assignments: Iterable[str] = ()) -> dict[str, Any]:
    """Only what the command line sets, as JSON without secrets: the parameters of a deployment.

    What is left out is read from the environment and recobatch.toml when a run starts.
    """
    tree = _from_assignments(assignments)
    _merge(tree, given)
    return Settings.model_validate(tree).model_dump(mode="json", exclude_unset=True)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """``RECOBATCH_SECTION__KEY`` and top-level settings; Kubernetes sets others, as RECOBATCH_SERVICE_HOST."""
    layer: dict[str, Any] = {}
    for name, text in environment.items():
        path = name.removeprefix(_PREFIX).lower().split("__")
        is_setting = len(path) > 1 or path[0] in Settings.model_fields
        if name.startswith(_PREFIX) and name not in _NOT_SETTINGS and is_setting:
            _put(layer, path, text, name)
    return layer


def _from_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    layer: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise BadSettings(
                f"--set: found {masked(assignment)!r}, expected section.key=value; as in --set train.epochs=8"
            )
        _put(layer, key.strip().split("."), text, "--set")
    return layer


def _put(layer: dict[str, Any], path: list[str], text: str, source: str) -> None:
    for section in path[:-1]:
        layer = layer.setdefault(section, {})
        if not isinstance(layer, dict):
            raise BadSettings(
                f"{source}: found {'.'.join(path)} below a value, expected section.key; see docs/settings.md"
            )
    layer[path[-1]] = _parse(text, ".".join(path))


def _parse(text: str, key: str) -> object:
    """``null`` is None, commas part the elements of a list; all else stays text that the field's own type converts."""
    if text == "null":
        return None
    if "," in text and key in _lists():
        return [part.strip() for part in text.strip("[]").split(",") if part.strip()]
    return text


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
                f"{source}: found the secret {name}, expected it where nobody reads along; set the variable "
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


def walk_fields(model: type[BaseModel] = Settings, path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting as ``section.key`` with its field, in the order of the tree."""
    for key, field in model.model_fields.items():
        below = field.annotation
        if isinstance(below, type) and issubclass(below, BaseModel):
            yield from walk_fields(below, f"{path}{key}.")
        else:
            yield f"{path}{key}", field


@cache
def _lists() -> frozenset[str]:
    """Settings with several values; a comma in any other is a part of its text, as in a file's name."""
    types = {key: (field.annotation, *get_args(field.annotation)) for key, field in walk_fields()}
    return frozenset(key for key, found in types.items() if any(get_origin(a_type) is tuple for a_type in found))


def all_keys() -> list[str]:
    """Every setting as ``section.key``."""
    return [key for key, _ in walk_fields()]


def _explain(error: ValidationError) -> str:
    """The first trouble of a validation as one line: what was found, what was expected, where."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "settings"
    expected = first["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return masked(
        f"{where}: found {first['input']!r}, expected: {expected}{more}; mend it in --set, RECOBATCH_… or {TOML_NAME}"
    )
