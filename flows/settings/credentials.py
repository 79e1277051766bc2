"""Passwords and signatures in addresses: only the environment may hold them, and no stored setting repeats them.

Settings are stored by Prefect with every flow run, shown in its forms and typed into shells that keep a history. So
an address with a secret is refused everywhere but in the environment, and written as JSON without its secret; a run
that is given the shown address puts the secret back from its own environment.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recobatch.addresses import holds_secret, without_secrets
from recobatch.errors import BadSettings

if TYPE_CHECKING:
    from flows.settings.tree import Settings

_Tree = Mapping[str, Any]


def kept_to_the_environment(layer: _Tree, environment: _Tree, source: str, path: str = "") -> None:
    """Check that a layer of settings holds no secret, unless the environment holds the same one.

    Raises:
        BadSettings: If it does; the message shows the address without it.
    """
    for key, value in layer.items():
        known = environment.get(key)
        if isinstance(value, Mapping):
            kept_to_the_environment(value, known if isinstance(known, Mapping) else {}, source, f"{path}{key}.")
        elif isinstance(value, str) and holds_secret(value) and value != known:
            name = f"{path}{key}"
            raise BadSettings(
                f"{source}: found a password or signature in the address {name}={without_secrets(value)}, expected "
                f"none where settings are stored and shown; put the address into the variable "
                f"RECOBATCH_{name.upper().replace('.', '__')}"
            )


def with_secrets_of(environment: _Tree, layer: _Tree) -> dict[str, Any]:
    """A layer with every address that stands for one of the environment's, less its secret, replaced by that."""
    return {key: _restored(value, environment.get(key)) for key, value in layer.items()}


def _restored(value: object, known: object) -> object:
    if isinstance(value, Mapping):
        return with_secrets_of(known if isinstance(known, Mapping) else {}, value)
    stands_for_it = isinstance(known, str) and holds_secret(known) and value == without_secrets(known)
    return known if stands_for_it else value


def shown(tree: _Tree) -> dict[str, Any]:
    """A tree of settings with every secret address as it may be shown."""
    return {key: _masked(value) for key, value in tree.items()}


def _masked(value: object) -> object:
    if isinstance(value, Mapping):
        return shown(value)
    return without_secrets(value) if isinstance(value, str) and holds_secret(value) else value


def with_ratings_of_block(settings: "Settings") -> "Settings":
    """The settings of a run, with the address of the ratings from the Prefect Secret block that ``data.block`` names.

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
        raise BadSettings(f"data.block: found no text in the block {name!r}, expected the ratings' address; mend it")
    return settings.model_copy(update={"data": settings.data.model_copy(update={"ratings": address})})
