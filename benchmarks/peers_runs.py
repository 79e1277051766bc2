"""One fit of one peer, run by its own interpreter; imports nothing of ours."""

import json
import resource
import sys
import time

import numpy as np


def load(path: str) -> tuple[tuple, tuple]:
    """Users, items and ratings of train and test: each user's first round(0.8 n) ratings in file order train."""
    raw = np.loadtxt(path, dtype=np.int64)
    users, items = (np.unique(raw[:, column], return_inverse=True)[1] for column in (0, 1))
    counts = np.bincount(users)
    order = np.argsort(users, kind="stable")
    rank = np.empty(len(users), dtype=np.int64)
    rank[order] = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = rank < np.round(0.8 * counts)[users]
    columns = (users, items, raw[:, 2].astype(float))
    return tuple(each[kept] for each in columns), tuple(each[~kept] for each in columns)


def surprise(train: tuple, test: tuple) -> tuple:
    import pandas as pd
    from surprise import SVD, Dataset, Reader

    frame = pd.DataFrame(dict(zip(("user", "item", "rating"), train, strict=True)))
    data = Dataset.load_from_df(frame, Reader(rating_scale=(1, 5))).build_full_trainset()
    setting = {"n_factors": 100, "n_epochs": 60, "lr_all": 0.01, "reg_all": 0.085, "init_std_dev": 0.01}
    model = SVD(**setting, random_state=0)
    clock = Clock()
    model.fit(data)
    return clock.stop(), [model.predict(u, i).est for u, i in pairs(test)], setting


def cornac(train: tuple, test: tuple) -> tuple:
    import cornac

    data = cornac.data.Dataset.from_uir(list(zip(*(column.tolist() for column in train), strict=True)), seed=0)
    setting = {"k": 100, "learning_rate": 0.01, "lambda_reg": 0.06, "max_iter": 30, "use_bias": True}
    model = cornac.models.MF(**setting, num_threads=2, seed=0)
    clock = Clock()
    model.fit(data)
    return (
        clock.stop(),
        [
            float(np.ravel(model.score(data.uid_map[u], data.iid_map[i]))[0]) if i in data.iid_map else float("nan")
            for u, i in pairs(test)
        ],
        setting,
    )


def lenskit(train: tuple, test: tuple) -> tuple:
    import pandas as pd
    from lenskit.als import BiasedMFScorer
    from lenskit.data import ItemList, RecQuery, from_interactions_df
    from lenskit.training import TrainingOptions

    names = ("user_id", "item_id", "rating")
    data = from_interactions_df(pd.DataFrame(dict(zip(names, train, strict=True))))
    setting = {"embedding_size": 50, "regularization": 0.12, "epochs": 20, "damping": 5.0}
    model = BiasedMFScorer(**setting)
    clock = Clock()
    model.train(data, TrainingOptions(rng=0))
    spent = clock.stop()
    found = np.full(len(test[0]), np.nan)
    for user in np.unique(test[0]):
        rows = np.flatnonzero(test[0] == user)
        found[rows] = model(RecQuery(user_id=int(user)), ItemList(item_ids=test[1][rows])).scores()
    return spent, found, setting


def cmfrec(train: tuple, test: tuple) -> tuple:
    import pandas as pd
    from cmfrec import CMF

    frame = pd.DataFrame(dict(zip(("UserId", "ItemId", "Rating"), train, strict=True)))
    setting = {"k": 50, "lambda_": 12.0, "niter": 15}
    model = CMF(**setting, verbose=False, nthreads=2, random_state=0)
    clock = Clock()
    model.fit(frame)
    return clock.stop(), model.predict(test[0], test[1]), setting


def myfm(train: tuple, test: tuple) -> tuple:
    """With the implicit features of both sides (Rendle, Zhang and Koren 2019)."""
    import myfm
    import scipy.sparse as sp

    shape = tuple(max(int(part[at].max()) for part in (train, test)) + 1 for at in (0, 1))
    rated = sp.csr_matrix((np.ones(len(train[0])), train[:2]), shape)
    blocks = []
    for matrix in (rated, rated.T.tocsr()):
        counts = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1)
        blocks.append(sp.hstack([sp.eye(matrix.shape[0]), sp.diags(counts**-0.5) @ matrix]).tocsr())
    setting = {"rank": 10, "n_iter": 200}
    model = myfm.MyFMRegressor(rank=setting["rank"], random_seed=0)
    sizes = [shape[0], shape[1], shape[1], shape[0]]
    clock = Clock()
    model.fit(
        None, train[2], X_rel=[myfm.RelationBlock(train[at], block) for at, block in enumerate(blocks)],
        group_shapes=sizes, n_iter=setting["n_iter"], n_kept_samples=setting["n_iter"] - 5,
    )  # fmt: skip
    spent = clock.stop()
    return spent, model.predict(None, [myfm.RelationBlock(test[at], block) for at, block in enumerate(blocks)]), setting


class Clock:
    """Wall and CPU seconds since it was made."""

    def __init__(self) -> None:
        self.start = time.perf_counter(), time.process_time()

    def stop(self) -> tuple[float, float]:
        return time.perf_counter() - self.start[0], time.process_time() - self.start[1]


def pairs(rows: tuple) -> zip:
    return zip(rows[0].tolist(), rows[1].tolist(), strict=True)


def main() -> None:
    peer, path = sys.argv[1:]
    train, test = load(path)
    (seconds, cpu), found, setting = {"surprise": surprise, "cornac": cornac, "lenskit": lenskit, "cmfrec": cmfrec,
                                    "myfm": myfm}[peer](train, test)  # fmt: skip
    found = np.nan_to_num(np.asarray(found, dtype=float), nan=float(train[2].mean()))
    mse = float(np.mean((np.clip(found, 1, 5) - test[2]) ** 2))
    told = " ".join(f"{name}={value}" for name, value in setting.items())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "mse": mse, "setting": told, "peak_mb": peak}))


if __name__ == "__main__":
    main()
