"""The sections of the settings that say how the job is run; the others belong to the stages they steer."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from recobatch.reading import ReadOptions
from recobatch.table import TableOptions


class Section(BaseModel):
    """A part of the tree of settings: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class DataSettings(ReadOptions):
    """Where the ratings come from and how the file is laid out."""

    ratings: str = Field(
        default="movielens-100k",
        description="Dataset name, or path or URI of a file, folder or glob; one with a password or signature in it "
        "only as an environment variable",
    )
    block: str | None = Field(
        default=None,
        min_length=1,
        description="Name of a Prefect Secret block with the ratings' path or URI, read when a run begins, in place of "
        "``data.ratings``",
    )
    users: Path | None = Field(
        default=None, description="Side table of the users; without it, one in the data set or beside the ratings"
    )
    items: Path | None = Field(
        default=None, description="Side table of the items; without it, one in the data set or beside the ratings"
    )
    cache: Path = Field(default=Path("~/.cache/recobatch"), description="Folder where named datasets are kept")

    def read_options(self) -> ReadOptions:
        """What the caller says of the file's layout."""
        return ReadOptions(**self.model_dump(include=set(ReadOptions.model_fields)))


class TableSettings(TableOptions):
    """Where the table is published."""

    path: str = Field(
        default="predictions", min_length=1,
        description="Folder of the published table, or ``s3://bucket/prefix``, ``gs://…``, ``az://…``",
    )  # fmt: skip


class TopSettings(Section):
    """The table of best unseen items."""

    k: int = Field(default=100, ge=0, description="Unseen items kept per user; 0 writes no top table")
    rank_by: Literal["best", "prediction", "interest", "product"] = Field(
        default="best",
        description="What lists are ranked by: the predicted rating, interest, or their product; ``best`` takes what "
        "ranks ratings held out from training best",
    )


class WorkSettings(Section):
    """Where stages leave their output between and within runs."""

    path: str = Field(
        default=".recobatch/work", min_length=1,
        description="Folder of stage outputs, or ``s3://bucket/prefix``, ``gs://…``, ``az://…``, from where other "
        "machines read them",
    )  # fmt: skip
    keep_days: float = Field(default=2.0, ge=0, description="Days after which an unused stage output is removed")


class LogSettings(Section):
    """What the log is written like."""

    format: Literal["text", "json"] = Field(
        default="text", description="Lines for people, or one JSON object a line for a log collector"
    )


class NotifySettings(Section):
    """Who is told of a run that failed or was refused; the address itself is a secret and no setting."""

    block: str | None = Field(
        default=None,
        min_length=1,
        description="Name of a Prefect Secret block with the webhook's address, where RECOBATCH_NOTIFY__WEBHOOK is "
        "not set",
    )
    timeout_seconds: float = Field(
        default=5, gt=0, le=60, description="Longest that a webhook may hold up a run that failed, in seconds"
    )
