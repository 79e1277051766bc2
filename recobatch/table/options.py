"""How a table is kept."""

from importlib.util import find_spec

from pydantic import BaseModel, ConfigDict, Field, field_validator


class TableOptions(BaseModel):
    """How the table is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    keep: int = Field(default=3, ge=1)
    """Snapshots kept after a publish: the current one, its good predecessor, then the newest, rolled back ones last"""
    iceberg: bool = False
    """Write Iceberg's metadata of the champion's predictions and lists beside each version; needs recobatch[iceberg]"""

    @field_validator("iceberg")
    @classmethod
    def _is_installed(cls, iceberg: bool) -> bool:
        if iceberg and find_spec("pyiceberg") is None:
            raise ValueError("found true and no pyiceberg, expected the package; install recobatch[iceberg]")
        return iceberg
