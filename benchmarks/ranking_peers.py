"""Other tools' lists of 10 unseen items per user; for an interpreter that has the tool and not our packages.

Writes arrays of 11 columns per model, the item indices and the seconds of fit and lists.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.sparse as sp

K = 10


def implicit(rows: sp.csr_matrix) -> Iterator[tuple[str, np.ndarray, float]]:
    """iALS with 32 factors: liked ratings weigh 1 and others 0.3, or all 1."""
    from implicit.als import AlternatingLeastSquares

    for name, weights in (("liked 1, other 0.3", (1.0, 0.3)), ("all 1", (1.0, 1.0))):
        data = rows.copy()
        data.data = np.where(rows.data >= 4, *weights).astype(np.float32)
        begun = time.perf_counter()
        model = AlternatingLeastSquares(factors=32, regularization=10.0, alpha=4.0, iterations=15, random_state=0)
        model.fit(data, show_progress=False)
        items, _ = model.recommend(np.arange(rows.shape[0]), data, N=K, filter_already_liked_items=True)
        yield f"implicit iALS, 32 factors, {name}", items, time.perf_counter() - begun


def rectools(rows: sp.csr_matrix) -> Iterator[tuple[str, np.ndarray, float]]:
    """RecTools' own EASE on weights 1 and 0.3, at its default penalty and at 200."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import EASEModel

    pairs = rows.tocoo()
    weights = np.where(pairs.data >= 4, 1.0, 0.3)
    frame = pd.DataFrame({Columns.User: pairs.row, Columns.Item: pairs.col, Columns.Weight: weights})
    frame[Columns.Datetime] = pd.Timestamp("2020-01-01")
    data = Dataset.construct(frame)
    for penalty in (200.0, 500.0):
        begun = time.perf_counter()
        model = EASEModel(regularization=penalty).fit(data)
        found = model.recommend(np.arange(rows.shape[0]), data, k=K, filter_viewed=True)
        items = np.full((rows.shape[0], K), -1)
        items[found[Columns.User], found[Columns.Rank] - 1] = found[Columns.Item]
        yield f"RecTools EASE, penalty {penalty:g}", items, time.perf_counter() - begun


def main() -> None:
    tool, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    with np.load(source) as data:
        rows = sp.csr_matrix((data["rating"], (data["user"], data["item"])), shape=tuple(data["shape"]))
    found = {"implicit": implicit, "rectools": rectools}[tool](rows)
    np.savez(out, **{name: np.column_stack([items, np.full(len(items), seconds)]) for name, items, seconds in found})


if __name__ == "__main__":
    main()
