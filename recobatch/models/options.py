"""Hyperparameters of a model. Imports no Keras."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

_KERAS_FACTORS = 40


class ModelOptions(BaseModel):
    """Size, initial values and penalty of a model; the defaults are the notebook's."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    n_factors: int | None = Field(None, ge=1, le=4096)
    """Length of a user's and an item's vector in the Keras models; None is 40, as in the notebook."""
    initial_scale: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Standard deviation of the initial factors, drawn from a normal distribution; None uses Keras' default,
    uniform(-0.05, 0.05). With a scale, biases start at zero, and predictions at the mean of the training
    ratings."""
    l2: float = Field(1e-6, ge=0, allow_inf_nan=False)
    """Penalty on every squared parameter, added once per mini-batch (Keras' ``embeddings_regularizer``); 0 for none."""
    bayesian_factors: int | None = Field(None, ge=1, le=256)
    """Length of the vectors in each sample of ``bayesian_mf``; None is a number that suits the ratings, at most
    ``n_factors`` if that is set."""
    sweeps: int | None = Field(None, ge=10)
    """Gibbs sweeps of each chain of ``bayesian_mf``, of which the first sixth is discarded; None for 150, and up to 450
    with fewer than 80,000 ratings."""
    chains: int = Field(1, ge=1, le=64)
    """Independent chains of ``bayesian_mf``, whose predictions are averaged."""

    @property
    def keras_factors(self) -> int:
        """``n_factors`` of a Keras model."""
        return self.n_factors or _KERAS_FACTORS

    def for_keras(self) -> Self:
        """The options that a builder receives: its ``n_factors`` is a number."""
        return self.model_copy(update={"n_factors": self.keras_factors})
