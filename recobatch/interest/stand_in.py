"""A rating model that stands in for the published one while the way to rank is chosen."""

from dataclasses import replace

from recobatch.bayesian import BayesianOptions, fit_bayesian
from recobatch.evaluation.baselines import bias_model
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions

_SWEEPS = 10
"""Of a short chain, whose lists by the product are slightly worse than with 100 sweeps."""


def stand_in(
    fit: EncodedInteractions, *, min_rating: float, max_rating: float, seed: int, is_bayesian: bool
) -> FactorModel:
    """Predict ratings from those of a fold.

    Args:
        fit: Ratings that are not held out.
        min_rating: Lowest possible rating.
        max_rating: Highest possible rating.
        seed: Seed of the chain.
        is_bayesian: A short chain of ``bayesian_mf``; else the bias means.
    """
    if not is_bayesian:
        return bias_model(fit, min_rating=min_rating, max_rating=max_rating)
    factors = fit_bayesian(fit, options=BayesianOptions(sweeps=_SWEEPS), seed=seed, n_threads=1).factors
    return replace(factors, min_rating=min_rating, max_rating=max_rating)
