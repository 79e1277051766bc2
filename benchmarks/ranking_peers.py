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


def lenskit(rows: sp.csr_matrix) -> Iterator[tuple[str, np.ndarray, float]]:
    """lenskit's own implicit ALS, and its item-item neighbours for implicit feedback."""
    import pandas as pd
    from lenskit.als import ImplicitMFScorer
    from lenskit.batch import recommend
    from lenskit.data import from_interactions_df
    from lenskit.knn import ItemKNNScorer
    from lenskit.pipeline import topn_pipeline

    pairs = rows.tocoo()
    data = from_interactions_df(pd.DataFrame({"user_id": pairs.row, "item_id": pairs.col}))
    scorers = {
        "lenskit implicit ALS, 32 factors": ImplicitMFScorer(features=32),
        "lenskit item-item neighbours": ItemKNNScorer(max_nbrs=20, feedback="implicit"),
    }
    for name, scorer in scorers.items():
        begun = time.perf_counter()
        pipeline = topn_pipeline(scorer, n=K)
        pipeline.train(data)
        found = recommend(pipeline, list(range(rows.shape[0])), n=K, n_jobs=1)
        items = np.full((rows.shape[0], K), -1)
        for key, chosen in found:
            ids = chosen.ids()[:K]
            items[key.user_id, : len(ids)] = ids
        yield name, items, time.perf_counter() - begun


def main() -> None:
    tool, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    with np.load(source) as data:
        rows = sp.csr_matrix((data["rating"], (data["user"], data["item"])), shape=tuple(data["shape"]))
    found = {"implicit": implicit, "lenskit": lenskit}[tool](rows)
    np.savez(out, **{name: np.column_stack([items, np.full(len(items), seconds)]) for name, items, seconds in found})


if __name__ == "__main__":
    main()
