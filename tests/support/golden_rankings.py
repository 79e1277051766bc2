"""Ranking metrics of generated lists by ranx and RecTools, which are too heavy to be requirements of the tests.

In an environment of its own::

    pip install ranx==0.3.21 rectools==0.19.0
    python -m tests.support.golden_rankings

prints ``GOLDEN``. ranx computes what depends on relevance, RecTools coverage, popularity and novelty.
"""

import numpy as np

N_USERS, N_ITEMS, K, RELEVANT = 80, 60, 10, 4


def generate() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train rows, test rows (user, item, rating each) and a list of ``K`` unrated items for every user.

    Every item has a rater in train, and every user a relevant test item: the libraries differ about the others.
    """
    rng = np.random.default_rng(17)
    popularity = 1 / np.arange(1, N_ITEMS + 1) ** 0.7
    train, test, lists = [], [], []
    for user in range(N_USERS):
        order = np.argsort(np.log(popularity) + rng.gumbel(size=N_ITEMS))[::-1]
        n_train, n_test = rng.integers(5, 16), rng.integers(2, 18)
        train += [(user, item, rng.integers(1, 6)) for item in {*order[:n_train], user % N_ITEMS}]
        unseen = [item for item in order[n_train:] if item != user % N_ITEMS]
        test += [(user, item, 5 if place == 0 else rng.integers(1, 6)) for place, item in enumerate(unseen[:n_test])]
        noisy = np.argsort(np.arange(len(unseen)) + rng.normal(scale=12, size=len(unseen)))
        lists.append([unseen[place] for place in noisy[:K]])
    return np.array(train), np.array(test), np.array(lists)


GOLDEN = {
    "ndcg": 0.5481019876675486, "recall": 0.677296626984127, "map": 0.3839538237748803, "hit_rate": 0.9875,
    "coverage": 1.0, "popularity": 16.016250000000003, "novelty": 2.541035965989253,
}  # fmt: skip


def compute() -> dict[str, float]:
    """The figures by the libraries."""
    import pandas as pd
    import ranx
    from rectools import Columns
    from rectools.metrics import AvgRecPopularity, CatalogCoverage, MeanInvUserFreq

    train, test, lists = generate()
    qrels: dict[str, dict[str, int]] = {}
    for user, item, rating in test.tolist():
        if rating >= RELEVANT:
            qrels.setdefault(str(user), {})[str(item)] = 1
    run = {str(user): {str(item): float(K - rank) for rank, item in enumerate(row)} for user, row in enumerate(lists)}
    names = {"ndcg": f"ndcg@{K}", "recall": f"recall@{K}", "map": f"map@{K}", "hit_rate": f"hit_rate@{K}"}
    found = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), list(names.values()))
    before = pd.DataFrame(train, columns=[Columns.User, Columns.Item, Columns.Weight])
    recommended = pd.DataFrame(
        [(user, item, rank) for user, row in enumerate(lists) for rank, item in enumerate(row, 1)],
        columns=[Columns.User, Columns.Item, Columns.Rank],
    )
    return {name: float(found[theirs]) for name, theirs in names.items()} | {
        "coverage": CatalogCoverage(k=K, normalize=True).calc(recommended, np.arange(N_ITEMS)),
        "popularity": AvgRecPopularity(k=K).calc(recommended, before),
        "novelty": MeanInvUserFreq(k=K).calc(recommended, before),
    }  # fmt: skip


if __name__ == "__main__":
    print(compute())  # noqa: T201
