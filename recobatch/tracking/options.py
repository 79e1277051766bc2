"""Options of a tracker; light enough for a settings tree to import."""

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from recobatch.errors import BadSettings


class TrackingOptions(BaseModel):
    """Where runs are tracked, under which names, and how long a slow server is waited for."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    uri: str | None = Field(
        default=None,
        description="MLflow tracking URI; none means MLFLOW_TRACKING_URI, else mlflow.db in the project root",
    )
    experiment: str = Field(
        default="recobatch", min_length=1, max_length=500, description="MLflow experiment of all runs"
    )
    registered_model: str = Field(
        default="recobatch", min_length=1, max_length=256, description="name in the model registry, without / and :"
    )
    timeout_seconds: int = Field(
        default=5, ge=1, le=600, description="longest wait for one answer of the tracking server, in seconds"
    )
    drain_seconds: int = Field(
        default=60, ge=1, le=3600, description="longest wait for a run's remaining records to arrive, in seconds"
    )
    system_metrics_seconds: float | None = Field(
        default=None, gt=0, allow_inf_nan=False,
        description="seconds between samples of the machine's CPU, memory, disk and network in every run of a model, "
        "such as 10; none logs none",
    )  # fmt: skip

    @field_validator("registered_model")
    @classmethod
    def _is_taken_by_mlflow(cls, name: str) -> str:
        if not name.strip() or any(mark in name for mark in "/:") or name == "." or name.startswith(".."):
            raise ValueError(f"found {name!r}, expected a name without / and : that is no path")
        return name

    def resolve_uri(self, root: Path) -> str:
        """The tracking URI in force: the setting, else the environment, else ``mlflow.db`` under ``root``.

        Raises:
            BadSettings: If MLflow could not make that database.
        """
        if given := self.uri or os.environ.get("MLFLOW_TRACKING_URI"):
            return given
        path = root.resolve() / "mlflow.db"
        # A question mark ends the address of the database; with both quotes, MLflow's first insert is no valid SQL.
        if "?" in str(path) or {"'", '"'} <= set(str(path)):
            raise BadSettings(
                f"{path}: found a question mark, or both single and double quotes, in the path of the project, "
                f"expected neither, since MLflow cannot make its database there; rename the folder, or set "
                f"MLFLOW_TRACKING_URI"
            )
        return f"sqlite:///{path}"


@dataclass(frozen=True)
class DatasetInfo:
    """The ratings a run was trained on, as MLflow's dataset column shows them."""

    name: str
    """Short name, such as ``movielens-100k``."""
    source: str
    """Path or URI it was read from; credentials in it are not logged."""
    fingerprint: str
    """Sha256 of the clean ratings, 64 hex digits."""
    n_ratings: int
    n_users: int
    n_items: int
