"""``bayesian_mf``: a matrix factorisation by Gibbs sampling, with implicit and side features. NumPy only.

``fit_bayesian`` trains, ``condition_on_all`` continues with every rating, ``users_from_ratings`` and
``items_from_ratings`` compute users and new items from the ratings of now.
"""

from recobatch.bayesian.digests import rating_digests
from recobatch.bayesian.fit import BayesianFit, BayesianHistory, condition_on_all, fit_bayesian
from recobatch.bayesian.new_items import items_from_ratings
from recobatch.bayesian.nights import users_from_ratings
from recobatch.bayesian.options import BayesianOptions
from recobatch.bayesian.state import BayesianState

__all__ = [
    "BayesianFit", "BayesianHistory", "BayesianOptions", "BayesianState", "condition_on_all", "fit_bayesian",
    "items_from_ratings", "rating_digests", "users_from_ratings",
]  # fmt: skip
