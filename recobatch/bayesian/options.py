"""Options of the Bayesian factorisation."""

from pydantic import BaseModel, ConfigDict, Field


class BayesianOptions(BaseModel):
    """Size and length of the sampling; everything else is sampled."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    n_factors: int = Field(8, ge=1, le=256)
    """Length of a user's and an item's vector in each sample."""
    sweeps: int = Field(300, ge=10)
    """Gibbs sweeps of a chain; the first sixth is discarded."""
    chains: int = Field(1, ge=1, le=64)
    """Independent chains, whose predictions are averaged."""
