"""The search for a model's settings: the door to Optuna. Importing this package does not import Optuna.

Trials are judged on ratings cut from the training part; no test rating is ever given to one.
"""

from recobatch.tuning.budget import Budget
from recobatch.tuning.result import SearchResult, Trial, settings_together
from recobatch.tuning.toml_text import as_toml, merged_toml
from recobatch.tuning.training import SearchInputs

__all__ = ["Budget", "SearchInputs", "SearchResult", "Trial", "as_toml", "merged_toml", "settings_together"]
