"""One training measurement a process: what ``training.py`` starts and reads the last line of."""

import json
import os
import resource
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from recobatch.evaluation.evaluate import evaluate
from recobatch.interactions import EncodedInteractions, Split
from recobatch.models import build_model, rescaled, to_factors
from recobatch.sources.synthetic import Truth, synthesize
from recobatch.split import SplitOptions, split
from recobatch.training import PRESETS, History, train
from recobatch.training.rating_scale import RatingScale


def notebook_split(u_data: Path) -> Split:
    """MovieLens 100k as the notebook had it: 80,000 and 20,000 rows."""
    raw = np.loadtxt(u_data, dtype=np.int64)
    users, items = (np.unique(raw[:, column], return_inverse=True)[1].astype(np.int32) for column in (0, 1))
    rating = raw[:, 2].astype(np.float32)
    return split(EncodedInteractions(users, items, rating, raw[:, 3], 943, 1682), SplitOptions())


def fresh(name: str, data: EncodedInteractions, preset: str, seed: int):  # noqa: ANN201
    sizes = {"n_users": data.n_users, "n_items": data.n_items, "min_rating": 1.0, "max_rating": 5.0}
    mean = float(data.rating.mean(dtype=np.float64))
    return build_model(name, **sizes, options=PRESETS[preset].options, seed=seed, mean_rating=mean)


def against_fit(u_data: Path, name: str, epochs: int) -> dict:
    """The notebook's recipe by ``model.fit`` and by the compiled epochs, in one process, on the same mini-batches."""
    data = notebook_split(u_data)
    recipe = PRESETS["notebook"].recipe.model_copy(update={"epochs": epochs, "shuffle": False})
    pairs = {part: [rows.user_index[:, None], rows.item_index[:, None]] for part, rows in vars(data).items() if rows}

    def ours() -> list[float]:
        model = fresh(name, data.train, "notebook", 0)
        history = train(model, data.train, validation=data.test, recipe=recipe, seed=0)
        return history.loss + history.val_loss

    def fit() -> list[float]:
        model = fresh(name, data.train, "notebook", 0)
        known = model.fit(
            pairs["train"], data.train.rating, batch_size=32, epochs=epochs, shuffle=False, verbose=0,
            validation_data=(pairs["test"], data.test.rating),
        ).history  # fmt: skip
        return known["loss"] + known["val_loss"]

    # Imports Keras, for both sides, and compiles; the time to compile is told separately.
    model = fresh(name, data.train, "notebook", 0)
    first = train(model, data.train, validation=data.test, recipe=recipe.model_copy(update={"epochs": 1}), seed=0)
    ours_losses, seconds, cpu = timed(ours)
    fit_losses, fit_seconds, fit_cpu = timed(fit)
    difference = float(np.abs(np.subtract(ours_losses, fit_losses)).max())
    return {
        "seconds": seconds, "cpu": cpu, "compile": first.compile_seconds,
        "fit_seconds": fit_seconds, "fit_cpu": fit_cpu, "largest_loss_difference": difference,
    }  # fmt: skip


def quality(u_data: Path, name: str, seeds: int) -> dict:
    """Preset ``tuned`` on the notebook's split: seconds and test error, seed by seed."""
    data = notebook_split(u_data)
    runs: list[tuple[History, float]] = []
    for seed in range(seeds):
        model = fresh(name, data.train, "tuned", seed)
        history = train(model, data.train, validation=None, recipe=PRESETS["tuned"].recipe, seed=seed)
        runs.append((history, evaluate(to_factors(model), train=data.train, test=data.test).mse))
    errors = [mse for _, mse in runs]
    return {
        "seconds": float(np.median([history.seconds for history, _ in runs])),
        "compile": max(history.compile_seconds for history, _ in runs),
        "mse": float(np.mean(errors)), "worst_mse": max(errors),
        "epochs": [history.best_epoch for history, _ in runs],
    }  # fmt: skip


def growth(folder: Path, name: str, n_ratings: int, n_users: int, n_items: int, epochs: int) -> dict:
    """Preset ``tuned`` on synthetic ratings: seconds an epoch, memory, and how near the known truth it came."""
    data, truth = synthetic(folder, n_ratings, n_users, n_items)
    held = np.random.default_rng(1).random(len(data)) < 0.02
    test, data = data.take(held), data.take(~held)
    scale = RatingScale(0.5, 5)
    in_unit = scale.rows_to_unit(data)
    model = fresh(name, in_unit, "tuned", 0)
    recipe = PRESETS["tuned"].recipe.model_copy(update={"epochs": epochs, "refit": False})
    moments: list[float] = []
    cpu = time.process_time()
    history = train(
        model, in_unit, validation=None, recipe=recipe, seed=0, on_epoch=lambda *_: moments.append(time.perf_counter())
    )
    cpu = time.process_time() - cpu - history.compile_seconds
    factors = to_factors(rescaled(model, scale.unit, scale.offset))
    clean = truth.rating(test.user_index, test.item_index)
    found = factors.predict_pairs(test.user_index, test.item_index)
    return {
        "epoch_seconds": float(np.median(np.diff(moments))),
        "seconds": history.seconds, "compile": history.compile_seconds,
        "cpu_per_epoch": cpu / len(history.loss), "epochs": len(history.loss), "ratings": len(data),
        "test_mse": evaluate(factors, train=data, test=test).mse, "noise": float(np.mean((clean - test.rating) ** 2)),
        "rmse_to_truth": float(np.sqrt(np.mean((clean - found) ** 2))), "spread_of_truth": float(clean.std()),
    }  # fmt: skip


def synthetic(folder: Path, n_ratings: int, n_users: int, n_items: int) -> tuple[EncodedInteractions, Truth]:
    """Synthetic ratings of that size, kept in ``folder`` for the next process: making them takes memory of its own."""
    rows, truth = folder / f"{n_ratings}.parquet", folder / f"{n_ratings}.npz"
    if not truth.exists():
        table, made = synthesize(n_users=n_users, n_items=n_items, n_ratings=n_ratings, seed=0)
        user, item = ((table[name].to_numpy() - 1).astype(np.int32) for name in ("user_id", "item_id"))
        rating, timestamp = table["rating"].to_numpy().astype(np.float32), table["timestamp"].to_numpy()
        EncodedInteractions(user, item, rating, timestamp, n_users, n_items).save(rows)
        made.save(truth)
    return EncodedInteractions.load(rows), Truth.load(truth)


def timed(call):  # noqa: ANN001, ANN201
    """Result, wall seconds, CPU seconds."""
    started, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - started, time.process_time() - cpu


def main() -> None:
    what, where, *rest = sys.argv[1:]
    path = Path(where)
    run = {
        "fit": lambda: against_fit(path, rest[0], int(rest[1])),
        "quality": lambda: quality(path, rest[0], int(rest[1])),
        "growth": lambda: growth(path, rest[0], *map(int, rest[1:])),
        "make": lambda: {"rows": len(synthetic(path, *map(int, rest))[0])},
    }[what]
    found = run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found | {"peak_mb": peak}))


if __name__ == "__main__":
    main()
