"""The sources of settings, each as a layer of the tree: a TOML file, the environment, ``--set``."""

import os
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin

from flows.settings.tree import Settings, walk_fields
from recobatch.addresses import masked
from recobatch.errors import BadSettings

TOML_NAME = "recobatch.toml"
_PREFIX = "RECOBATCH_"
WEBHOOK_VARIABLE = "RECOBATCH_NOTIFY__WEBHOOK"
"""The address that failures are posted to: a secret, and so no setting. Settings are shown, stored and logged."""
_NOT_SETTINGS = {"RECOBATCH_HOME", WEBHOOK_VARIABLE}
"""Variables beside the settings; RECOBATCH_HOME is the project folder, for the deployments of prefect.yaml."""


def read_toml(path: Path) -> dict[str, Any]:
    """The settings of a TOML file; none where there is no file.

    Raises:
        BadSettings: If it is no valid TOML, or cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BadSettings(f"{path}: found no valid TOML ({error}), expected settings; fix or remove it") from None


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """``RECOBATCH_SECTION__KEY`` and top-level settings.

    Others are ignored: Kubernetes sets RECOBATCH_SERVICE_HOST, RECOBATCH_PORT and the like for a service of this name.
    """
    layer: dict[str, Any] = {}
    for name, text in environment.items():
        path = name.removeprefix(_PREFIX).lower().split("__")
        is_setting = len(path) > 1 or path[0] in Settings.model_fields
        if name.startswith(_PREFIX) and name not in _NOT_SETTINGS and is_setting:
            _put(layer, path, text, name)
    return layer


def from_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """``section.key=value`` texts, as of ``--set``.

    Raises:
        BadSettings: If one has another shape.
    """
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
    """Commas part the elements of a list; all else stays text that the field's own type converts."""
    if "," in text and key in _lists():
        return [part.strip() for part in text.strip("[]").split(",") if part.strip()]
    return text


@cache
def _lists() -> frozenset[str]:
    """Settings with several values; a comma in any other is a part of its text, as in a file's name."""
    types = {key: (field.annotation, *get_args(field.annotation)) for key, field in walk_fields()}
    return frozenset(key for key, found in types.items() if any(get_origin(a_type) is tuple for a_type in found))


def webhook_address(environment: Mapping[str, str] = os.environ) -> str | None:
    """The address in ``RECOBATCH_NOTIFY__WEBHOOK``, for nothing but posting to it.

    Raises:
        BadSettings: If it is no address; the message does not show it.
    """
    address = environment.get(WEBHOOK_VARIABLE) or None
    if address is not None and not address.startswith(("http://", "https://")):
        raise BadSettings(f"{WEBHOOK_VARIABLE}: found no http:// or https:// address, expected one; fix or unset it")
    return address


def with_block_ratings(settings: Settings) -> Settings:
    """The settings of a run, with the ratings' address from the Prefect Secret block that ``data.block`` names, if any.

    Raises:
        BadSettings: If there is no such block, or it holds no text.
    """
    name = settings.data.block
    if name is None:
        return settings
    from prefect.blocks.system import Secret  # lazy: the command line reads settings without Prefect

    try:
        address = Secret.load(name, _sync=True).get()  # type: ignore[union-attr, call-arg]
    except ValueError:
        raise BadSettings(
            f"data.block: found no Secret block {name!r} at the Prefect server, expected one with the ratings' "
            f"address; make it on the server's page of blocks, or unset data.block"
        ) from None
    if not isinstance(address, str) or not address:
        raise BadSettings(f"data.block: found no text in the block {name!r}, expected the ratings' address; fix it")
    return settings.model_copy(update={"data": settings.data.model_copy(update={"ratings": address})})
