"""The chosen interest model, trained again on other ratings."""

import numpy as np

from recobatch.blas import one_blas_thread
from recobatch.interactions import EncodedInteractions
from recobatch.interest.candidates import Trainer, choice_of
from recobatch.interest.options import InterestOptions
from recobatch.interest_model import InterestModel


def refit_interest(
    model: InterestModel, ratings: EncodedInteractions, *, options: InterestOptions, seed: int = 0
) -> InterestModel:
    """Train a model with the hyperparameters of another one.

    Args:
        model: Its hyperparameters were chosen by ``train_interest``.
        ratings: Over any users and items, at least one; test ratings too, if the result is not measured on them.
        options: As ``model`` was trained with.
        seed: Seed of the start.
    """
    energy = float(np.mean(np.square(model.confidence.of(ratings.rating), dtype=np.float64)))
    with one_blas_thread():
        return Trainer(ratings, options, seed).train(choice_of(model, energy))
