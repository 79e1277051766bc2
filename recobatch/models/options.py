"""What shapes a model before it has seen a rating. Imports no Keras."""

from pydantic import BaseModel, ConfigDict, Field


class ModelOptions(BaseModel):
    """Size, start and penalty of a model; the defaults are the notebook's."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    n_factors: int = Field(40, ge=1, le=4096)
    """Length of a user's and an item's vector."""
    initial_scale: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Standard deviation of the normal distribution that factors start from; None is Keras' own uniform(-0.05, 0.05).

    With a scale, biases start at zero and a model without biases starts around the middle of the rating range.
    """
    l2: float = Field(1e-6, ge=0, allow_inf_nan=False)
    """Penalty on every squared parameter, added once per mini-batch (Keras' ``embeddings_regularizer``); 0 is none."""
