"""Which ratings are valid."""

import math

from pydantic import BaseModel, ConfigDict, Field, field_validator


class IngestOptions(BaseModel):
    """Which ratings are valid, and how many invalid ones are tolerated."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rating_range: tuple[float, float] | None = None
    """Lowest and highest rating that is accepted; None accepts every finite one."""
    max_quarantined: float = Field(default=0.05, ge=0, le=1)
    """Largest share of the rows that may be quarantined; beyond it the whole file is refused."""

    max_bytes: int | None = Field(default=None, ge=1)
    """Most bytes that a compressed file of ratings may hold, and the rows of a parquet file take in memory; None for
    128 MiB, or a hundred times the file's own size where that is more."""

    @field_validator("rating_range")
    @classmethod
    def _ascends(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not (bounds[0] < bounds[1] and all(map(math.isfinite, bounds))):
            raise ValueError(
                f"found {bounds[0]:g} to {bounds[1]:g}, expected a lower end below the upper one, both of them finite"
            )
        return bounds
