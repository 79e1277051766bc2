"""The parameter ``settings`` of the flows: what was given to one run, and nothing else.

Prefect's form fills in every default that a parameter's schema names, and posts it. Parameters beat recobatch.toml, so
with a schema of defaults every run from the form would ignore the file. The schema of ``GivenSettings`` has none: a
form posts what was typed into it, and the run reads everything else where it takes place.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import (
    GetJsonSchemaHandler,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from flows.settings.secrets import redact
from flows.settings.tree import UNSET, Settings, is_nullable, rewrite


class GivenSettings(Settings):
    """Settings of this run alone; every setting left empty is read from the environment and recobatch.toml."""

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_set(cls, tree: object) -> object:
        """A whole tree stands for the fields that were set in it; a field that was emptied in a form is not set."""
        if isinstance(tree, Settings):
            return tree.model_dump(exclude_unset=True)
        return rewrite(tree, cls, _unset_if_emptied) if isinstance(tree, Mapping) else tree

    @model_serializer(mode="wrap", when_used="json")
    def _sparse(self, serialize: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """As Prefect stores it with a deployment and a run: without defaults and secrets."""
        return redact(serialize(self)) if info.exclude_unset else self.model_dump(mode="json", exclude_unset=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The schema with no default to post; descriptions name the defaults instead."""
        found = handler(schema)
        for field in handler.resolve_ref_schema(found)["properties"].values():
            if "$ref" in field:
                field.pop("default", None)
                for below in handler.resolve_ref_schema(field)["properties"].values():
                    _make_sparse(below)
            else:
                _make_sparse(field)
        return found


def _make_sparse(field: JsonSchemaValue) -> None:
    """Let a form post a field only if it was filled in.

    A default would be posted; so would the ``false`` of a switch that nobody touched, hence a list to choose from.
    """
    if (default := field.pop("default", None)) is not None:
        shown = default if isinstance(default, str) else json.dumps(default)
        described = field.get("description", "").rstrip(".")
        field["description"] = f"{described}. Left empty: recobatch.toml's, else the preset's, else {shown}."
    kinds = [kind.get("type") for kind in field.get("anyOf", [field])]
    if "boolean" in kinds:
        field.pop("anyOf", None)
        field.pop("type", None)
        field["enum"] = [True, False, *([None] if "null" in kinds else [])]


def _unset_if_emptied(value: object, field: FieldInfo) -> object:
    return UNSET if value is None and not is_nullable(field) else value
