"""The model of interest and the measuring of lists on large data: seconds and memory.

    .venv/bin/python benchmarks/interest_scale.py train      25 M synthetic ratings in the shape of MovieLens 25M
    .venv/bin/python benchmarks/interest_scale.py measure    three models, 71,567 users × 10,681 items

``train`` is a whole ``train_interest``, choosing included. ``measure`` ranks by every way, as a batch does, with random
factors: two models of 40 factors with a sigmoid, one of 128 without, a model of interest of 96 columns. Prints
JSON lines. The first number of a pair is seconds of the clock, the second of the processor.
"""

import argparse
import json
import resource
from dataclasses import replace

import numpy as np
from bayesian_scale import Clock

from recobatch.factors import FactorModel, Link
from recobatch.interactions import EncodedInteractions
from recobatch.interest import InterestOptions, train_interest
from recobatch.interest.candidates import LARGE_COLUMNS
from recobatch.scoring.list_quality import measure_lists
from recobatch.sources.synthetic import synthesize
from recobatch.split import SplitOptions, split

SHAPES = {"train": (162_541, 59_047, 25_000_000), "measure": (71_567, 10_681, 10_000_054)}


def synthetic(users: int, items: int, ratings: int) -> EncodedInteractions:
    table, _ = synthesize(n_users=users, n_items=items, n_ratings=ratings, seed=0)
    user, item = ((table[name].to_numpy() - 1).astype(np.int32) for name in ("user_id", "item_id"))
    rating = table["rating"].to_numpy().astype(np.float32)
    return EncodedInteractions(user, item, rating, np.full(len(user), -1), users, items)


def train(ratings: EncodedInteractions) -> dict:
    clock = Clock()
    model, report = train_interest(
        ratings, min_rating=1, max_rating=5, relevant=4, options=InterestOptions(), has_bayesian=True
    )
    columns = model.factors.n_factors
    return {"train": clock.read(), "chosen": report.chosen, "columns": columns, "rankings": report.rankings}


def measure(ratings: EncodedInteractions) -> dict:
    data, rng = split(ratings, SplitOptions(method="random")), np.random.default_rng(1)

    def model(width: int) -> FactorModel:
        users, items = (
            rng.normal(0.05, 0.2, (n, width)).astype(np.float32) for n in (ratings.n_users, ratings.n_items)
        )
        zeros = (np.zeros(n, np.float32) for n in (ratings.n_users, ratings.n_items))
        return FactorModel(users, items, *zeros, 0.5, Link.SCALED_SIGMOID, 1.0, 5.0)

    models = {"a": model(40), "b": model(40), "c": replace(model(128), link=Link.IDENTITY)}
    interest = replace(model(LARGE_COLUMNS), link=Link.IDENTITY, global_bias=0.0, min_rating=0.0, max_rating=0.0)
    clock = Clock()
    found = measure_lists(data, models, interest, dict.fromkeys(models, "product"), k=10, relevant=4)
    return {"measure": clock.read(), "ways": sum(len(ways) for ways in found.models.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=SHAPES)
    parser.add_argument("--ratings", type=int, help="fewer than the shape has")
    options = parser.parse_args()
    users, items, n_ratings = SHAPES[options.what]
    ratings = synthetic(users, items, options.ratings or n_ratings)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    figures = {"train": train, "measure": measure}[options.what](ratings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    print(json.dumps({**figures, "peak_gb": round(peak, 2), "peak_gb_of_the_ratings": round(held, 2)}), flush=True)


if __name__ == "__main__":
    main()
