"""Passwords and signatures in addresses: only the environment may hold them, and no stored setting repeats them.

Prefect stores settings with every flow run and shows them in its forms, and shells keep a history. So an address with a
secret is refused everywhere but in the environment, and written as JSON without its secret; a run that is given the
redacted address restores the secret from its own environment.
"""

from collections.abc import Mapping
from typing import Any

from recobatch.addresses import holds_secret, without_secrets
from recobatch.errors import BadSettings

_Tree = Mapping[str, Any]


def refuse_secrets(layer: _Tree, environment: _Tree, source: str, path: str = "") -> None:
    """Check that a layer of settings holds no secret, unless the environment holds the same one.

    Raises:
        BadSettings: If it does; the message shows the address without it.
    """
    for key, value in layer.items():
        known = environment.get(key)
        if isinstance(value, Mapping):
            refuse_secrets(value, known if isinstance(known, Mapping) else {}, source, f"{path}{key}.")
        elif isinstance(value, str) and holds_secret(value) and value != known:
            name = f"{path}{key}"
            raise BadSettings(
                f"{source}: found a password or signature in the address {name}={without_secrets(value)}, expected "
                f"none where settings are stored and shown; put the address into the variable "
                f"RECOBATCH_{name.upper().replace('.', '__')}"
            )


def restore_secrets(layer: _Tree, environment: _Tree) -> dict[str, Any]:
    """A layer in which every address that is one of the environment's without its secret is replaced by that."""
    return {key: _restored(value, environment.get(key)) for key, value in layer.items()}


def _restored(value: object, known: object) -> object:
    if isinstance(value, Mapping):
        return restore_secrets(value, known if isinstance(known, Mapping) else {})
    is_redacted = isinstance(known, str) and holds_secret(known) and value == without_secrets(known)
    return known if is_redacted else value


def redact(tree: _Tree) -> dict[str, Any]:
    """A tree of settings in which no address holds a secret."""
    return {key: _redacted(value) for key, value in tree.items()}


def _redacted(value: object) -> object:
    if isinstance(value, Mapping):
        return redact(value)
    return without_secrets(value) if isinstance(value, str) and holds_secret(value) else value
