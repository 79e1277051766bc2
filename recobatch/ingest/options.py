"""Which ratings are valid."""

from pydantic import BaseModel, ConfigDict, Field, field_validator


class IngestOptions(BaseModel):
    """Which ratings are valid, and how many invalid ones are tolerated."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rating_range: tuple[float, float] | None = None
    """Lowest and highest rating that is accepted; None accepts every finite one."""
    max_quarantined: float = Field(default=0.05, ge=0, le=1)
    """Largest share of the rows that may be quarantined; beyond it the whole file is refused."""

    @field_validator("rating_range")
    @classmethod
    def _ascends(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError(f"found {bounds[0]:g} to {bounds[1]:g}, expected a lower end below the upper one")
        return bounds
