"""The Bayesian factorisation beside myfm, cmfrec, surprise and lenskit: error, coverage and seconds.

    python benchmarks/bayesian.py --u-data PATH [--seeds 5] [--chains 1] [--only TOOL]

On the notebook's split of MovieLens 100k (with and without its side tables), and on synthetic ratings of a known truth,
where the error of the truth itself is the limit. Each fit is a process of its own. Prints a markdown table and writes
JSON lines. A tool that does not install is named with the reason.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from environments import Missing, python_with

PEERS = ("myfm", "cmfrec", "surprise", "lenskit")
OURS = ("ours, side tables", "ours")
HERE = Path(__file__).parent
CACHE = Path.home() / ".cache" / "recobatch" / "movielens-100k"
NOISE = 0.8
"""Standard deviation of the noise of the synthetic ratings."""


def write_synthetic(path: Path) -> None:
    """Ratings in the layout of ``u.data``, whole numbers from 1 to 5 around a rank-4 truth; returns nothing else."""
    rng = np.random.default_rng(0)
    n_users, n_items, n = 800, 1200, 80_000
    score = rng.normal(size=(n_users, 4)) @ rng.normal(size=(4, n_items)) * 0.3
    score += 3.4 + rng.normal(size=(n_users, 1)) * 0.4 + rng.normal(size=n_items) * 0.5
    popularity = rng.pareto(1.2, n_items) + 0.05
    user, item = rng.integers(0, n_users, n), rng.choice(n_items, n, p=popularity / popularity.sum())
    pair = np.unique(user * n_items + item)
    rng.shuffle(pair)
    user, item = pair // n_items, pair % n_items
    rating = np.clip(np.round(score[user, item] + rng.normal(size=len(pair)) * NOISE), 1, 5).astype(int)
    np.savetxt(path, np.stack([user + 1, item + 1, rating, np.arange(len(pair))], axis=1), fmt="%d", delimiter="\t")


def fit_ours(path: Path, seed: int, chains: int, side_tables: Path | None) -> dict:
    """One fit in this process; intervals are calibrated on an eighth of train that a second, shorter fit leaves out."""
    import pyarrow as pa
    from peers_runs import load

    from recobatch.bayesian import BayesianOptions, fit_bayesian
    from recobatch.evaluation.calibration import calibrate
    from recobatch.evaluation.evaluate import predict_rows
    from recobatch.evaluation.noise import HeldOut
    from recobatch.evaluation.uncertainty import assess_uncertainty
    from recobatch.interactions import EncodedInteractions
    from recobatch.sources.movielens import fetch, fetch_side_tables
    from recobatch.sources.side_tables import read_side_table
    from recobatch.vocabulary import Vocabulary

    columns = load(str(path))
    n_users, n_items = (max(int(part[at].max()) for part in columns) + 1 for at in (0, 1))
    train, test = (
        EncodedInteractions(
            part[0].astype(np.int32),
            part[1].astype(np.int32),
            part[2].astype(np.float32),
            np.full(len(part[0]), -1),
            n_users,
            n_items,
        )
        for part in columns
    )
    tables = {}
    if side_tables is not None:
        fetch(side_tables)
        files = fetch_side_tables(side_tables)
        for name, file, size in zip(("users", "items"), files, (n_users, n_items), strict=True):
            ids = Vocabulary.build(pa.array(range(1, size + 1)))
            tables[name] = read_side_table(file, ids, "user" if name == "users" else "item")[0]
    options = BayesianOptions(chains=chains)
    started = time.perf_counter()
    fit = fit_bayesian(train, **tables, options=options, seed=seed)
    seconds = time.perf_counter() - started

    def predicted(factors: object, rows: EncodedInteractions) -> HeldOut:
        prediction = np.clip(predict_rows(factors, rows), factors.min_rating, factors.max_rating)
        return HeldOut(rows.user_index, rows.item_index, rows.rating, prediction)

    held = np.random.default_rng(seed).random(len(train)) < 1 / 8
    judged = fit_bayesian(train.take(~held), **tables, options=options, seed=seed)
    calibration = calibrate(
        predicted(judged.factors, train.take(held)), user_ratings=np.bincount(train.user_index, minlength=n_users),
        item_ratings=np.bincount(train.item_index, minlength=n_items), rating_range=(1.0, 5.0),
        seen=predicted(judged.factors, train.take(~held)),
    )  # fmt: skip
    rows = predicted(fit.factors, test)
    quality = assess_uncertainty(calibration, rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": seconds, "mse": float(np.mean(rows.squared_residuals())), "peak_mb": peak, "rank": fit.history.rank,
        "setting": f"chains={chains}", **quality.to_dict(),
    }  # fmt: skip


def run(call: list[str]) -> dict:
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing((done.stderr.strip().splitlines() or ["no reason given"])[-1])
    return json.loads(done.stdout.splitlines()[-1])


def measure(data: str, path: Path, tools: list[str], options: argparse.Namespace) -> Iterator[dict]:
    for tool in tools:
        if data != "movielens-100k" and tool == OURS[0]:
            continue
        try:
            if tool in OURS:
                calls = [
                    [sys.executable, __file__, "--u-data", str(path), "--one", tool, "--seeds", str(seed), "--chains",
                     str(options.chains), "--side-tables", str(options.side_tables)]
                    for seed in range(options.seeds)
                ]  # fmt: skip
            else:
                calls = [[str(python_with(tool)), str(HERE / "peers_runs.py"), tool, str(path)]]
            found = [run(call) for call in calls]
        except Missing as reason:
            yield {"data": data, "tool": tool, "missing": str(reason)}
            continue
        row = {"data": data, "tool": tool, "runs": len(found), "setting": found[0]["setting"]}
        for key in ("seconds", "mse", "peak_mb", "coverage", "sd_error_correlation", "mean_width", "crps", "nll"):
            if key in found[0]:
                row[key] = float(np.mean([each[key] for each in found]))
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--u-data", type=Path, required=True, help="MovieLens 100k's u.data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--chains", type=int, default=1)
    parser.add_argument("--side-tables", type=Path, default=CACHE, help="folder; downloaded to it where it has none")
    parser.add_argument("--only", choices=PEERS)
    parser.add_argument("--out", type=Path, default=HERE / "out" / "bayesian.jsonl")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        tables = options.side_tables if options.one == OURS[0] else None
        print(json.dumps(fit_ours(options.u_data, options.seeds, options.chains, tables)))
        return
    tools = [*OURS, *([options.only] if options.only else PEERS)]
    print("| data | tool | fit s | test MSE | 90 % cover | sd~error | width | setting |\n" + "|---" * 8 + "|")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        synthetic = Path(folder, "u.data")
        write_synthetic(synthetic)
        for data, path in (("movielens-100k", options.u_data), ("synthetic", synthetic)):
            for row in measure(data, path, tools, options):
                rows.append(row)
                if "missing" in row:
                    print(f"| {data} | {row['tool']} | | | | | | did not run: {row['missing']} |", flush=True)
                    continue
                sure = [f"{row[key]:.3f}" if key in row else "" for key in
                        ("coverage", "sd_error_correlation", "mean_width")]  # fmt: skip
                print(f"| {data} | {row['tool']} | {row['seconds']:.2f} | {row['mse']:.4f} | {' | '.join(sure)} | "
                      f"{row['setting']} |", flush=True)  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
