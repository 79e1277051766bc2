"""Train the model of interest: which items a user would take.

``train_interest`` chooses between EASE and implicit ALS, or adds both, on ratings held out from the training ratings;
the model itself is ``recobatch.interest_model.InterestModel``.
"""

from recobatch.interest.options import InterestOptions, InterestReport, Trial
from recobatch.interest.rank_by import choose_rank_by, measure_rank_by
from recobatch.interest.train import train_interest

__all__ = ["InterestOptions", "InterestReport", "Trial", "choose_rank_by", "measure_rank_by", "train_interest"]
