"""``bayesian_mf`` on 25 million synthetic ratings in the shape of MovieLens 25M: seconds and memory.

    .venv/bin/python benchmarks/bayesian_scale.py [--sweeps 4] [--plain] [--ratings 25000000]

Some whole sweeps are timed one by one, and the compression of the samples apart; a training of 150 sweeps is then
their sum, since every sweep does the same work. ``--plain`` leaves the implicit features out. Prints a JSON object.
Seconds of the processor say more than those of the clock on a busy machine.
"""

import argparse
import json
import resource
import time

import numpy as np

from recobatch.bayesian import chain as chains
from recobatch.bayesian.chain import Chain, Problem
from recobatch.bayesian.compression import RunningProduct
from recobatch.bayesian.implicit import all_blocks
from recobatch.bayesian.options import BayesianOptions
from recobatch.bayesian.threads import threads
from recobatch.interactions import EncodedInteractions
from recobatch.sources.synthetic import synthesize

USERS, ITEMS = 162_541, 59_047
FACTORS = 16
DISCARDED = 1 / 6


class Clock:
    """Seconds since the last reading: of the clock, and of the processor."""

    def __init__(self) -> None:
        self._last = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        now = time.perf_counter(), time.process_time()
        passed = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        return round(passed[0], 2), round(passed[1], 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweeps", type=int, default=4)
    parser.add_argument("--ratings", type=int, default=25_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="no implicit features")
    options = parser.parse_args()
    table, _ = synthesize(n_users=USERS, n_items=ITEMS, n_ratings=options.ratings, seed=0)
    user, item = ((table[name].to_numpy() - 1).astype(np.int32) for name in ("user_id", "item_id"))
    ratings = EncodedInteractions(
        user, item, table["rating"].to_numpy().astype(np.float32), np.full(len(user), -1), USERS, ITEMS
    )
    del table, user, item
    if options.plain:
        chains.all_blocks = lambda *given: all_blocks(*given)[1:]
    clock = Clock()
    with threads(options.threads) as pool:
        problem = Problem.build(ratings, None, None)
        chain = Chain.start(problem, FACTORS, np.random.default_rng(0))
        build, sweeps = clock.read(), []
        product = RunningProduct(USERS, ITEMS)
        for _ in range(options.sweeps):
            chain.sweep(pool)
            sweeps.append(clock.read())
        held = 512 // FACTORS  # samples until the product is compressed
        for _ in range(2 * held + 1):
            product.add(chain.users.vectors[:, :-1], chain.items.vectors[:, :-1])
        compression = clock.read()
    count = BayesianOptions().sweeps_for(options.ratings)
    compressions = -(-count * (1 - DISCARDED) // held)
    total = [
        build[at] + count * float(np.mean([each[at] for each in sweeps[1:]])) + compressions * compression[at]
        for at in (0, 1)
    ]
    print(json.dumps({
        "ratings": options.ratings, "implicit": not options.plain, "threads": options.threads, "build": build,
        "sweeps": sweeps, "compression": compression, "sweeps_in_all": count, "compressions_in_all": compressions,
        "minutes_in_all": [round(seconds / 60, 1) for seconds in total],
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20), 2),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
