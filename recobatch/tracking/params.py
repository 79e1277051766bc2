"""Settings as MLflow's params."""

import re
from collections.abc import Mapping

from recobatch.addresses import masked_value

FACT = "fact"
"""Prefix of the params that are figures of the run and no settings, as in ``fact.users``."""


def flatten_params(params: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested settings as MLflow params: ``{"train": {"epochs": 5}}`` becomes ``{"train.epochs": "5"}``.

    Credentials in addresses are left out, characters that MLflow refuses in names become ``_``.
    """
    flat: dict[str, str] = {}
    for key, value in params.items():
        name = prefix + re.sub(r"[^\w\-. :/]", "_", str(key))
        if isinstance(value, Mapping):
            flat |= flatten_params(value, f"{name}.")
        else:
            flat[name] = masked_value(value)
    return flat
