"""How well the model of interest is chosen: its lists beside those of the best single model found on the test rows.

    python benchmarks/interest_choice.py --seed 1                 every shape, with the seeds 1, 2, ...
    python benchmarks/interest_choice.py --seed 1 --only dense long_tail

In these synthetic ratings a user's taste decides what they rate, as well as how; `recobatch synth` draws pairs by
activity and popularity alone. The yardstick is the best of 21 models of EASE and 36 of implicit ALS on the test rows,
so a ratio of 1 is hard to reach. Rules of choice may be made on some seeds and must be judged on others. Prints JSON
lines.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from recobatch.blas import one_blas_thread
from recobatch.evaluation.baselines import bias_model, popularity_model
from recobatch.evaluation.rankings import EvaluationOptions, relevance_threshold
from recobatch.evaluation.relevant_items import RelevantItems
from recobatch.interactions import EncodedInteractions
from recobatch.interest import InterestOptions, train_interest
from recobatch.interest.candidates import IALS, Choice, Trainer
from recobatch.interest.folds import Fold
from recobatch.interest_model import Confidence
from recobatch.rated import RatedPairs
from recobatch.scoring.ranker import Ranker
from recobatch.split import SplitOptions, split

PENALTIES, OTHERS, SIZES = (75, 150, 300, 600, 1200, 2400, 4800), (None, 1.0, 0.3), (16, 32, 64)
"""Of the yardstick: penalties of EASE, weights of ratings that are not liked, sizes of implicit ALS."""
YARDSTICK_RANK = 600
LEVELS, K = 5, 10


@dataclass(frozen=True)
class Shape:
    """Synthetic ratings of 1 to 5."""

    users: int
    items: int
    """Drawn from; those that nobody rates are left out."""
    ratings: int
    popularity: float
    """Spread of the logarithm of an item's odds."""
    taste: float
    """Spread of the same between the users of an item."""
    activity: float = 1.0
    """Spread of the logarithm of a user's ratings."""
    least: int = 8
    """Ratings of every user."""
    groups: int = 0
    """Groups of items that a few users like, beside the factors."""


SHAPES = {
    "popular": Shape(1508, 2071, 35_500, 3.2, 1.0, 0.8, 2),
    "popular_groups": Shape(1508, 2071, 35_500, 3.4, 0.9, 0.8, 2, groups=40),
    "many_items": Shape(610, 9700, 100_000, 2.15, 1.5, 1.1, 16),
    "many_items_groups": Shape(610, 9700, 100_000, 2.1, 1.3, 1.2, 16, groups=60),
    "middle": Shape(2000, 2000, 150_000, 1.4, 1.3, 0.9),
    "few": Shape(600, 3000, 30_000, 1.6, 1.5, 0.9),
    "few_groups": Shape(600, 3000, 30_000, 1.8, 1.1, 0.9, groups=50),
    "dense": Shape(943, 1682, 100_000, 1.3, 1.5, 1.0, 16),
    "long_tail": Shape(800, 5000, 60_000, 1.9, 1.0, 1.0, 10),
}


def generate(shape: Shape, seed: int) -> EncodedInteractions:
    """Draw each user's items by popularity and taste, without replacement, and rate them by taste and quality."""
    rng = np.random.default_rng(seed)
    popularity, activity = _normal_quantiles(rng, shape.items), _normal_quantiles(rng, shape.users)
    free = np.exp(shape.activity * activity)
    counts = shape.least + free / free.sum() * (shape.ratings - shape.least * shape.users)
    counts = np.minimum(np.round(counts), shape.items // 2).astype(int)
    tastes = _tastes(rng, shape)
    strength = shape.taste * np.exp(0.3 * rng.standard_normal((shape.users, 1)))
    score = strength * tastes + shape.popularity * popularity + rng.gumbel(size=tastes.shape)
    chosen = [np.argpartition(-row, count - 1)[:count] for row, count in zip(score, counts, strict=True)]
    user, item = np.repeat(np.arange(shape.users), counts), np.concatenate(chosen)
    quality = 0.3 * popularity + 0.95 * rng.standard_normal(shape.items)
    share = 0.62 + 0.11 * quality[item] + 0.1 * rng.standard_normal(shape.users)[user] + 0.066 * tastes[user, item]
    share += 0.13 * rng.standard_normal(len(user))
    rating = 1 + np.clip(np.round(share * (LEVELS - 1)), 0, LEVELS - 1)
    seen, item = np.unique(item, return_inverse=True)
    order = rng.permutation(len(user))
    columns = (column[order].astype(kind) for column, kind in ((user, "i4"), (item, "i4"), (rating, "f4")))
    return EncodedInteractions(*columns, np.full(len(user), -1), shape.users, len(seen))


def _normal_quantiles(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.permutation([NormalDist().inv_cdf((place + 0.5) / count) for place in range(count)])


def _tastes(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Of every pair, by 5 to 29 factors of falling weight, and by groups: shape ``(users, items)``, spread near 1."""
    factors = int(rng.integers(5, 30))
    scales = np.arange(1, factors + 1) ** -0.5
    tastes = (rng.standard_normal((shape.users, factors)) * scales) @ rng.standard_normal((factors, shape.items))
    tastes /= tastes.std()
    if shape.groups:
        fans = rng.standard_gamma(0.3, (shape.users, shape.groups))
        fans = np.minimum((fans - fans.mean()) / fans.std(), 3)
        tastes = 0.4**0.5 * tastes + 0.6**0.5 * fans[:, rng.integers(shape.groups, size=shape.items)]
    return tastes


def singles(lowest: float, highest: float, liked: float) -> Iterator[Choice]:
    for confidence in (Confidence(lowest, highest, liked, other) for other in OTHERS):
        yield from (Choice(confidence, float(penalty)) for penalty in PENALTIES)
        yield from (Choice(confidence, ials=(replace(each, n_factors=n),)) for each in IALS for n in SIZES)


def measure(ratings: EncodedInteractions, seed: int) -> dict:
    """Choose on the training part, then measure on the test part."""
    parts, liked = split(ratings, SplitOptions(method="random", seed=seed)), 4.0
    assert relevance_threshold(ratings.rating, EvaluationOptions()) == liked
    test = Fold(parts.train, RelevantItems.of(parts.test, liked), RatedPairs.collect(parts.train), K)
    yardstick = Trainer(parts.train, InterestOptions(ease_rank=YARDSTICK_RANK), seed)
    with one_blas_thread():
        found = {choice: test.ndcg(yardstick.train(choice).factors) for choice in singles(1, LEVELS, liked)}
    best = max(found, key=lambda choice: found[choice])
    begun = time.process_time()
    model, report = train_interest(
        parts.train, min_rating=1, max_rating=LEVELS, relevant=liked, options=InterestOptions(), seed=seed
    )
    cpu = time.process_time() - begun
    means = bias_model(parts.train, min_rating=1, max_rating=LEVELS)
    ndcg = test.ndcg(Ranker.of(means, model.factors, report.rank_by))
    return {
        "ratio": round(ndcg / found[best], 3), "ndcg": round(ndcg, 4), "chosen": report.chosen, "by": report.rank_by,
        "best": str(best), "popularity": round(test.ndcg(popularity_model(parts.train)), 4), "cpu": round(cpu, 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True, help="of the first shape; the next has the next seed")
    parser.add_argument("--only", nargs="+", choices=SHAPES, default=list(SHAPES))
    options = parser.parse_args()
    for seed, name in enumerate(options.only, start=options.seed):
        ratings = generate(SHAPES[name], seed)
        size = {"users": ratings.n_users, "items": ratings.n_items, "ratings": len(ratings)}
        print(json.dumps({"shape": name, "seed": seed, **size, **measure(ratings, seed)}), flush=True)


if __name__ == "__main__":
    main()
