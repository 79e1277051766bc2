"""The published table and the registered model as Prefect's assets, with the lineage from the ratings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.assets import Asset
from prefect.assets.core import AssetProperties
from prefect.cache_policies import NO_CACHE
from prefect.context import AssetContext
from prefect.tasks import MaterializingTask

from flows.settings.tree import Settings
from recobatch.addresses import is_uri, without_secrets

P = ParamSpec("P")
R = TypeVar("R")

_MOST_CHARACTERS = 512
"""Prefect's limit for a key."""


def ratings_asset(uri: str, root: Path) -> Asset:
    """The ratings at a path or URI; the part of an address that may hold a secret is left out."""
    return Asset(key=_key(without_secrets(uri).partition("?")[0], root), properties=AssetProperties(name="ratings"))


def table_asset(settings: Settings, root: Path) -> Asset:
    """The published table."""
    place = str(settings.table.path)
    hint = "current.json names the current version" if is_uri(place) else "read it at current/champion"
    described = f"Predicted rating of every user-item pair; {hint}."
    properties = AssetProperties(name="predictions", description=described)
    return Asset(key=_key(place, root), properties=properties)


def model_asset(settings: Settings) -> Asset:
    """The champion in MLflow's registry, which scoring on its own starts from."""
    name = settings.tracking.registered_model
    return Asset(key=_key(f"mlflow://models/{name}", Path()), properties=AssetProperties(name=f"{name}, the champion"))


def materializing(step: Task[P, R], asset: Asset, made_from: Sequence[Asset]) -> MaterializingTask[P, R]:
    """The task as one that makes the asset; a decorator cannot, since the asset depends on the settings of the run."""
    return MaterializingTask(
        fn=step.fn, name=step.name, cache_policy=NO_CACHE, assets=[asset], asset_deps=list(made_from),
        materialized_by="recobatch",
    )  # fmt: skip


def describe_asset(**facts: Any) -> None:  # noqa: ANN401 - JSON
    """Keep facts with the asset of the running task; does nothing in a task that makes none."""
    context = AssetContext.get()
    for asset in context.downstream_assets if context else ():
        asset.add_metadata(facts)


def _key(place: str, root: Path) -> str:
    """An address that Prefect accepts: it refuses blanks, percent signs and the like, and capitals in the scheme."""
    scheme, colons, rest = place.partition("://")
    if not colons:
        scheme, rest = "file", (root / place).absolute().as_posix()
    scheme = re.sub(r"[^a-z0-9]", "", scheme.lower()) or "file"
    return re.sub(r"[^\w:/.@+=~-]", "-", f"{scheme}://{rest}")[:_MOST_CHARACTERS]
