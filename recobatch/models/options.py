"""Hyperparameters of a model. Imports no Keras."""

from pydantic import BaseModel, ConfigDict, Field


class ModelOptions(BaseModel):
    """Size, initial values and penalty of a model; the defaults are the notebook's."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    n_factors: int = Field(40, ge=1, le=4096)
    """Length of a user's and an item's vector."""
    initial_scale: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Standard deviation of the initial factors, drawn from a normal distribution; None uses Keras' default,
    uniform(-0.05, 0.05). With a scale, biases start at zero, and predictions of a model without biases start in the
    middle of the rating range."""
    l2: float = Field(1e-6, ge=0, allow_inf_nan=False)
    """Penalty on every squared parameter, added once per mini-batch (Keras' ``embeddings_regularizer``); 0 for none."""
