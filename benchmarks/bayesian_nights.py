"""A night with a million users: every one has new ratings, and their vectors are computed in closed form.

    .venv/bin/python benchmarks/bayesian_nights.py [--users 1000000] [--each 25]

The state is that of a short fit of 50,000 of the users, with as many samples as a state of so many users keeps. Prints
a JSON object: seconds of the clock and of the processor for all users, without reading ratings and writing the table.
"""

import argparse
import json
import resource
import time
from dataclasses import replace

import numpy as np

from recobatch.bayesian import BayesianOptions, fit_bayesian, users_from_ratings
from recobatch.interactions import EncodedInteractions

ITEMS, FACTORS, SAMPLES = 20_000, 16, 4
FITTED = 50_000


def ratings_of(n_users: int, each: int, seed: int) -> EncodedInteractions:
    """As many ratings of every user, of items with a long tail."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(n_users, dtype=np.int32), each)
    first = (ITEMS * rng.random(n_users) ** 3).astype(np.int64)
    item = ((first[:, None] + 37 * np.arange(each)) % ITEMS).astype(np.int32).ravel()
    rating = rng.integers(1, 6, len(user)).astype(np.float32)
    return EncodedInteractions(user, item, rating, np.full(len(user), -1), n_users, ITEMS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--each", type=int, default=25)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    sizes = BayesianOptions(n_factors=FACTORS, sweeps=10)
    state = fit_bayesian(ratings_of(FITTED, options.each, 0), options=sizes, seed=0).state
    state = replace(state, samples=state.samples[-SAMPLES:])
    ratings = ratings_of(options.users, options.each, 1)
    started, cpu = time.perf_counter(), time.process_time()
    factors, _ = users_from_ratings(state, ratings, n_threads=options.threads)
    print(json.dumps({
        "users": options.users, "ratings": len(ratings), "samples": len(state.samples), "rank": factors.shape[1],
        "seconds": round(time.perf_counter() - started, 1), "cpu": round(time.process_time() - cpu, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20), 2),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
