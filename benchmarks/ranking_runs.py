"""Our lists and the measuring of any: what ``ranking.py`` starts and reads."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from training_runs import fresh, notebook_split

from recobatch.bayesian import BayesianOptions, fit_bayesian
from recobatch.evaluation.baselines import bias_model, popularity_model
from recobatch.evaluation.rankings import Rankings, measure_rankings
from recobatch.factors import FactorModel
from recobatch.interactions import Split
from recobatch.interest import InterestOptions, train_interest
from recobatch.interest_model import InterestModel
from recobatch.models import to_factors
from recobatch.rated import RatedPairs
from recobatch.scoring.lists import top_lists
from recobatch.scoring.ranker import Ranker
from recobatch.training import PRESETS, train

RELEVANT, K = 4.0, 10


def keras_bias(data: Split, preset: str, seed: int) -> FactorModel:
    model = fresh("explicit_mf_bias", data.train, preset, seed)
    train(model, data.train, validation=None, recipe=PRESETS[preset].recipe, seed=seed)
    return to_factors(model)


def interest_of(data: Split, seed: int) -> tuple[InterestModel, float, str]:
    begun = time.perf_counter()
    options = InterestOptions()
    model, report = train_interest(
        data.train, min_rating=1, max_rating=5, relevant=RELEVANT, options=options, seed=seed, has_bayesian=True
    )
    print(f"seed {seed}: {report.chosen}; by {report.rank_by}, {report.rankings}", file=sys.stderr)
    return model, time.perf_counter() - begun, report.rank_by


def ours(u_data: Path, seeds: int, folder: Path) -> Iterator[dict]:
    """Rows of every way to rank; the interest model's seconds are those of choosing and training."""
    data = notebook_split(u_data)
    rated = RatedPairs.collect(data.train)
    np.savez(
        folder / "train.npz", user=data.train.user_index, item=data.train.item_index, rating=data.train.rating,
        shape=[data.train.n_users, data.train.n_items],
    )  # fmt: skip

    def measured(ranker: Ranker) -> Rankings:
        return measure_rankings(top_lists(ranker, rated, K), train=data.train, test=data.test, relevant=RELEVANT)

    means = bias_model(data.train, min_rating=1, max_rating=5)
    yield row("popularity", [measured(Ranker.of(popularity_model(data.train)))])
    yield row("bias means", [measured(Ranker.of(means))])
    trained = [interest_of(data, seed) for seed in range(seeds)]
    seconds = float(np.median([each[1] for each in trained]))
    ratings: dict[str, Callable[[int], FactorModel]] = {
        "bias means": lambda _: means,
        "bayesian_mf": lambda seed: fit_bayesian(data.train, options=BayesianOptions(), seed=seed).factors,
        "bias model, tuned": lambda seed: keras_bias(data, "tuned", seed),
        "bias model, notebook": lambda seed: keras_bias(data, "notebook", seed),
    }
    interest = [measured(Ranker.of(means, each[0].factors, "interest")) for each in trained]
    yield row("interest", interest) | {"seconds": seconds}
    for name, make in ratings.items():
        models = [make(seed) for seed in range(seeds)]
        if name != "bias means":
            yield row(f"prediction of {name}", [measured(Ranker.of(model)) for model in models])
        product = [
            measured(Ranker.of(model, each[0].factors, "product")) for model, each in zip(models, trained, strict=True)
        ]
        yield row(f"interest × {name}", product) | {"seconds": seconds}


def row(what: str, found: list[Rankings]) -> dict:
    values = [each.metrics() for each in found]
    return {"what": what} | {name: float(np.mean([each[name] for each in values])) for name in values[0]}


def measure(u_data: Path, lists: Path, name: str) -> dict:
    """Another tool's lists, with our measures."""
    data = notebook_split(u_data)
    with np.load(lists) as found:
        items, seconds = found[name][:, :K], float(found[name][0, K])
    found_row = row(name, [measure_rankings(items.astype(int), train=data.train, test=data.test, relevant=RELEVANT)])
    return found_row | {"seconds": seconds}


def main() -> None:
    what, u_data, *rest = sys.argv[1:]
    if what == "ours":
        rows = ours(Path(u_data), int(rest[0]), Path(rest[1]))
    else:
        rows = iter([measure(Path(u_data), Path(rest[0]), rest[1])])
    for each in rows:
        print(json.dumps(each), flush=True)


if __name__ == "__main__":
    main()
