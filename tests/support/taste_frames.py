"""The ratings of two tastes as frames with raw ids."""

import numpy as np
import pandas as pd

from tests.support.tastes import tastes


def taste_frame(**sizes: int) -> pd.DataFrame:
    """``userId`` as text, ``movieId`` as number, ``rating``: those of odd users are of odd items."""
    ratings = tastes(**sizes)
    return pd.DataFrame({
        "userId": [f"u{user:03d}" for user in ratings.user_index], "movieId": ratings.item_index.astype(np.int64) + 100,
        "rating": ratings.rating.astype(np.float64),
    })  # fmt: skip
