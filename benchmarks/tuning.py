"""``recobatch tune`` beside plain Optuna over ``model.fit``: the same model, split, data and time.

    python benchmarks/tuning.py --u-data PATH [--seconds 60]     PATH is MovieLens 100k's u.data

Both search the notebook's bias model for a minute on ratings cut from the training part, train once more with the best
settings on all of it, and are judged on the test part. The plain search varies what Keras users do (factors, Adam's
step, L2, mini-batch), prunes by the median, and keeps the best number of epochs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
MODEL = "explicit_mf_bias"
RECOBATCH = [sys.executable, "-c", "from flows.cli.commands import main; main()"]
VALIDATION = 0.1
MOST_EPOCHS = 20


def ours(seconds: int) -> dict:
    """The commands, in a folder of their own."""
    recipe = ["--preset", "notebook", "--set", f"models={MODEL}"]
    with tempfile.TemporaryDirectory() as folder:

        def run(*arguments: str) -> dict:
            done = subprocess.run([*RECOBATCH, *arguments, "--json"], cwd=folder, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stderr[-2000:])
            return json.loads(done.stdout.splitlines()[-1])

        search = run("tune", *recipe, "--model", MODEL, "--budget", f"{seconds}s", "--apply")["models"][MODEL]
        error = run("run", "--set", f"models={MODEL}")["models"][MODEL]["test_mse"]
        return {"trials": search["trials"]["finished"] + search["trials"]["pruned"], "test_mse": error}


def plain(u_data: Path, seconds: int) -> dict:
    """Optuna and Keras alone, as one writes it for a notebook."""
    import keras
    import numpy as np
    import optuna

    from benchmarks.training_runs import notebook_split

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    data = notebook_split(u_data)
    held = np.random.default_rng(0).random(len(data.train)) < VALIDATION

    def part(rows: object, mask: np.ndarray | slice) -> tuple[list[np.ndarray], np.ndarray]:
        return [rows.user_index[mask], rows.item_index[mask]], rows.rating[mask]

    def fit(values: dict, x: list, y: np.ndarray, epochs: int, **more: object) -> tuple[object, dict]:
        keras.utils.set_random_seed(0)
        model = _bias_model(data.train.n_users, data.train.n_items, values["n_factors"], values["l2"])
        model.compile(optimizer=keras.optimizers.Adam(values["learning_rate"]), loss="mse", metrics=["mse"])
        batch = values["batch_size"]
        return model, model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, **more).history

    def objective(trial: optuna.Trial) -> float:
        values = {
            "n_factors": trial.suggest_categorical("n_factors", [16, 40, 100]),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "l2": trial.suggest_float("l2", 1e-7, 1e-3, log=True),
            "batch_size": trial.suggest_categorical("batch_size", [32, 128, 512]),
        }

        def report(epoch: int, logs: dict) -> None:
            trial.report(logs["val_mse"], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        watch = keras.callbacks.LambdaCallback(on_epoch_end=report)
        validation = part(data.train, held)
        _, history = fit(
            values, *part(data.train, ~held), MOST_EPOCHS, validation_data=validation, callbacks=[watch]
        )  # fmt: skip
        trial.set_user_attr("epochs", int(np.argmin(history["val_mse"])) + 1)
        return min(history["val_mse"])

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), pruner=optuna.pruners.MedianPruner())
    study.optimize(objective, timeout=seconds)
    everything = part(data.train, slice(None))
    model, _ = fit(study.best_params, *everything, study.best_trial.user_attrs["epochs"])
    x, y = part(data.test, slice(None))
    found = np.clip(model.predict(x, batch_size=4096, verbose=0).ravel(), 1, 5)
    return {"trials": len(study.trials), "test_mse": float(np.mean((found - y) ** 2))}


def _bias_model(n_users: int, n_items: int, n_factors: int, l2: float) -> object:
    """The notebook's second model, without recobatch."""
    import keras
    from keras import layers

    penalty = keras.regularizers.L2(l2)
    user, item = keras.Input((1,), dtype="int32"), keras.Input((1,), dtype="int32")

    def rows(count: int, width: int, index: object) -> object:
        return layers.Flatten()(layers.Embedding(count, width, embeddings_regularizer=penalty)(index))

    dot = layers.Dot(1)([rows(n_users, n_factors, user), rows(n_items, n_factors, item)])
    total = layers.Add()([dot, rows(n_users, 1, user), rows(n_items, 1, item)])
    return keras.Model([user, item], layers.Rescaling(4.0, 1.0)(layers.Activation("sigmoid")(total)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--u-data", type=Path, required=True, help="MovieLens 100k's u.data")
    parser.add_argument("--seconds", type=int, default=60, help="of each search")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1]))
    print(f"{os.cpu_count()} cores, {options.seconds} s of search each")
    print("\n| search | trials | test MSE |\n|---|---|---|")
    for name, found in (
        ("recobatch tune", ours(options.seconds)),
        ("Optuna and model.fit", plain(options.u_data, options.seconds)),
    ):
        print(f"| {name} | {found['trials']} | {found['test_mse']:.4f} |")


if __name__ == "__main__":
    main()
