"""``bayesian_mf`` on 25 million synthetic ratings in the shape of MovieLens 25M: seconds and memory.

    .venv/bin/python benchmarks/bayesian_scale.py [--sweeps 4] [--ratings 25000000] [--only "with implicit features"]

Without implicit features and with them, some whole sweeps are timed one by one, and one compression of the samples
apart; a training of 150 sweeps is then their sum, since every sweep does the same work. Prints JSON lines, each as
soon as it is known. The first number of a pair is seconds of the clock, the second of the processor, which say more
on a busy machine.
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator

import numpy as np

from recobatch.bayesian import chain as chains
from recobatch.bayesian.chain import Chain, Problem
from recobatch.bayesian.compression import MeanProduct, most_samples
from recobatch.bayesian.implicit import all_blocks
from recobatch.bayesian.options import BayesianOptions
from recobatch.bayesian.threads import threads
from recobatch.interactions import EncodedInteractions
from recobatch.sources.synthetic import synthesize

USERS, ITEMS = 162_541, 59_047
FACTORS = 16
KINDS = "without features", "with implicit features"


class Clock:
    """Seconds since the last reading: of the clock, and of the processor."""

    def __init__(self) -> None:
        self._last = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        now = time.perf_counter(), time.process_time()
        passed = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        return round(passed[0], 2), round(passed[1], 2)


def synthetic(n_ratings: int) -> EncodedInteractions:
    table, _ = synthesize(n_users=USERS, n_items=ITEMS, n_ratings=n_ratings, seed=0)
    user, item = ((table[name].to_numpy() - 1).astype(np.int32) for name in ("user_id", "item_id"))
    rating = table["rating"].to_numpy().astype(np.float32)
    return EncodedInteractions(user, item, rating, np.full(len(user), -1), USERS, ITEMS)


def measure(ratings: EncodedInteractions, sweeps: int, n_threads: int) -> Iterator[dict]:
    clock = Clock()
    with threads(n_threads) as pool:
        problem = Problem.build(ratings, None, None)
        chain, total = Chain.start(problem, FACTORS, np.random.default_rng(0)), []
        total.append((1, clock.read()))
        yield {"build": total[0][1]}
        for number in range(sweeps):
            chain.sweep(pool)
            total.append(((BayesianOptions().sweeps_for(len(ratings)) - sweeps) / (sweeps - 1) + 1, clock.read()))
            if number == 0:
                total[-1] = (1, total[-1][1])
            yield {"sweep": total[-1][1]}
        product, rng = MeanProduct(pool), np.random.default_rng(1)
        for _ in range(most_samples(USERS + ITEMS, FACTORS)):
            sample = chain.users.vectors[:, :-1], chain.items.vectors[:, :-1]
            product.add(*(each + 0.1 * rng.standard_normal(each.shape, np.float32) for each in sample))
        product.compressed()
        total.append((1, clock.read()))
        yield {"compression": total[-1][1]}
    minutes = [round(sum(times * seconds[at] for times, seconds in total) / 60, 1) for at in (0, 1)]
    yield {"minutes_in_all": minutes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=4, help="at least 2")
    parser.add_argument("--ratings", type=int, default=25_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=KINDS, help="its memory is then that of no other")
    options = parser.parse_args()
    ratings = synthetic(options.ratings)
    for kind in [options.only] if options.only else KINDS:
        chains.all_blocks = all_blocks if kind.startswith("with ") else lambda *given: all_blocks(*given)[1:]
        for figures in measure(ratings, options.sweeps, options.threads):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
            print(json.dumps({"kind": kind, **figures, "peak_gb": round(peak, 2)}), flush=True)


if __name__ == "__main__":
    main()
