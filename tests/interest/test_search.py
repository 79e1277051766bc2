"""The search among interest models: few candidates for few ratings, and the first of those within the doubt."""

import numpy as np
import pytest

import recobatch.interest.candidates
from recobatch.blas import one_blas_thread
from recobatch.interest.candidates import FIRST_PENALTY, Choice, Trainer, in_sizes
from recobatch.interest.folds import make_folds
from recobatch.interest.ials import Ials
from recobatch.interest.options import InterestOptions
from recobatch.interest.rank_by import choose_model_and_way
from recobatch.interest.refit import refit_interest
from recobatch.interest.search import _HANDICAPS, ALONE, DOUBT, HOPELESS, Arena, search
from recobatch.interest.stand_in import stand_in
from recobatch.interest_model import Confidence
from tests.support.tastes import tastes

SLOPE, FLAT = Confidence(1, 5, 4), Confidence(1, 5, 4, 1.0)


class Judged(Arena):
    """An arena where a function gives the NDCG."""

    def __init__(self, ndcg, n_ratings=100):
        data = tastes()
        fold = make_folds(data, relevant=4, fraction=0.2, max_users=1000, k=10, seed=0)[0]
        rows = np.zeros(n_ratings, np.int64)
        super().__init__([type(fold)(fold.fit.take(rows), fold.liked, fold.rated, 10)], [None])
        self._ndcg = ndcg

    def ndcg(self, choice):
        return self.tried.setdefault(choice, self._ndcg(choice))


def test_few_ratings_move_the_penalty_by_a_factor_of_two_at_most():
    def heavier_is_better(choice):
        return choice.penalty or 0.0

    options = InterestOptions(method="ease")
    assert search(Judged(heavier_is_better), [SLOPE], options).penalty == 2 * FIRST_PENALTY
    assert search(Judged(heavier_is_better, 500_001), [SLOPE], options).penalty == 16 * FIRST_PENALTY
    assert search(Judged(lambda choice: 1 / choice.penalty), [SLOPE], options).penalty == FIRST_PENALTY / 2
    assert search(Judged(lambda choice: choice.penalty**0.02), [SLOPE], options).penalty == FIRST_PENALTY, (
        "1.4 % better"
    )


@pytest.mark.parametrize(("above_popularity", "gain", "expected"), [(1.4, 1.04, 16), (1.6, 1.04, 2), (1.4, 1.02, 2)])
def test_lists_that_are_hardly_better_than_popularity_take_a_far_higher_penalty(above_popularity, gain, expected):
    """The first doubling is a gain in any case; each further step is one of ``gain``."""
    steps = {FIRST_PENALTY * factor: step for step, factor in enumerate((0.5, 1, 2, 4, 16), start=-2)}
    arena = Judged(lambda choice: above_popularity * arena.popularity() * gain ** max(steps[choice.penalty], 0)
                   * (0.9 if steps[choice.penalty] < 0 else 1))  # fmt: skip
    assert search(arena, [SLOPE], InterestOptions(method="ease")).penalty == expected * FIRST_PENALTY


@pytest.mark.parametrize(("gain", "expected"), [(1.02, SLOPE), (1.04, FLAT)])
def test_other_weights_must_be_better_by_more_than_the_doubt(gain, expected):
    arena = Judged(lambda choice: 0.3 * (gain if choice.confidence == FLAT else 1))
    assert search(arena, [SLOPE, FLAT], InterestOptions(method="ease")).confidence == expected


@pytest.mark.parametrize(
    ("better", "gain", "expected"),
    [("ials", 1.005, (True, True)), ("ials", 1.01, (False, True)), ("ease", 1.005, (True, True)),
     ("ease", 1.01, (True, False))],
)  # fmt: skip
def test_a_single_method_must_be_better_than_the_sum(better, gain, expected):
    def ndcg(choice):
        alone = choice.penalty is None if better == "ials" else not choice.ials
        return 0.3 * gain if alone else 0.3

    arena = Judged(ndcg)
    found = search(arena, [SLOPE], InterestOptions())
    assert (found.penalty is not None, bool(found.ials)) == expected
    assert str(found) in {trial.name for trial in arena.trials}


@pytest.mark.parametrize(("gain", "expected"), [(1.005, (16, 32)), (1.01, (16,))])
def test_one_size_of_implicit_als_must_be_better_than_the_sum(gain, expected):
    def ndcg(choice):
        is_small = choice.penalty is None and len(choice.ials) == 1
        return 0.3 * (gain if is_small else 1) * (0.9 if not choice.ials else 1)

    found = search(Judged(ndcg), [SLOPE], InterestOptions())
    assert (tuple(each.n_factors for each in found.ials), found.penalty is None) == (expected, expected == (16,))


def test_the_model_and_the_way_are_chosen_together():
    ways = [{"prediction": 0.1, "interest": 0.3, "product": 0.29}, {"interest": 0.2, "product": 0.304}]
    assert choose_model_and_way(ways) == (0, "interest")
    ways[1]["product"] = 0.31
    assert choose_model_and_way(ways) == (1, "product")


@pytest.mark.parametrize("ials", [Ials(8, 5, 0.3), Ials(8, 3, 0.1, is_scaled=False)], ids=str)
def test_a_refit_keeps_the_share_and_the_kind_of_the_penalty(ials):
    data, options = tastes(), InterestOptions()
    with one_blas_thread():
        model = Trainer(data, options, 0).train(Choice(SLOPE, 100.0, in_sizes(ials, (4, 8)), 0.5))
    again = refit_interest(model, data, options=options)
    np.testing.assert_allclose(again.factors.item_factors, model.factors.item_factors, rtol=1e-3, atol=1e-5)
    assert Ials.of(again.parts[1]) == Ials.of(model.parts[1])
    assert Ials.of(model.parts[1]).is_scaled == ials.is_scaled
    ease, *others = (part.root_mean_square for part in again.parts)
    assert [other / ease for other in others] == pytest.approx([0.25, 0.25], rel=1e-3)


@pytest.mark.parametrize("is_scaled", [True, False])
def test_unobserved_pairs_weigh_less_while_ratings_are_held_out(is_scaled):
    """Beside fewer ratings the same weight of all other pairs would be a larger one."""
    data, choice = tastes(), Choice(SLOPE, ials=(Ials(8, 5, 0.3, is_scaled),))
    with one_blas_thread():
        whole, kept = (Trainer(data, InterestOptions(), 0, kept=share).train(choice).parts[0] for share in (1.0, 0.8))
    assert (whole.unobserved, kept.unobserved) == pytest.approx((0.3, 0.24))
    assert whole.floor == pytest.approx(kept.floor)
    assert kept.regularization == pytest.approx(whole.regularization / 0.8), "for 0.8 times the ratings"


@pytest.mark.parametrize("is_bayesian", [True, False])
def test_the_stand_in_predicts_within_the_range_by_its_seed(is_bayesian):
    data = tastes(40, 30)
    first, same = (stand_in(data, min_rating=1, max_rating=5, seed=3, is_bayesian=is_bayesian) for _ in range(2))
    assert np.array_equal(first.item_factors, same.item_factors)
    assert (first.min_rating, first.max_rating) == (1, 5)
    assert (first.n_factors > 0) == is_bayesian


def test_a_choice_far_behind_on_the_first_fold_is_not_measured_on_the_others():
    figures = {"good": (0.4, 0.5), "near": (0.38, 0.6), "far": (0.36, 0.9), "better": (0.5, 0.3)}
    measured = []

    class Model:
        def __init__(self, name):
            self.factors = name

    class Measured:
        def __init__(self, number):
            self.number = number

        def ndcg(self, name):
            measured.append((name, self.number))
            return figures[name][self.number]

    class Named:
        def train(self, choice):
            return Model(choice)

    arena = Arena([Measured(0), Measured(1)], [Named(), Named()])
    assert [arena.ndcg(name) for name in ("good", "near", "far")] == pytest.approx([0.45, 0.49, 0.36 * 0.45 / 0.4])
    assert ("far", 1) not in measured
    assert arena.ndcg("better") == pytest.approx(0.4), "the first fold alone does not make it the best"
    assert arena.best(("good", "near", "far", "better")) == "near"
    assert max(DOUBT, ALONE, *_HANDICAPS.values()) < HOPELESS


def test_many_ratings_keep_fewer_columns_unless_the_setting_says_otherwise(monkeypatch):
    """Ranking a large catalogue costs as much as the model has columns."""
    data, choice = tastes(40, 150), Choice(SLOPE, 100.0, in_sizes(Ials(8, 5, 0.3), (4, 8)))

    def columns(options=InterestOptions()):  # noqa: B008 - frozen
        with one_blas_thread():
            model = Trainer(data, options, 0).train(choice)
        return [part.item_factors.shape[1] for part in model.parts], model.factors.n_factors

    monkeypatch.setattr(recobatch.interest.candidates, "LARGE_RANK", 12)
    monkeypatch.setattr(recobatch.interest.candidates, "LARGE_COLUMNS", 10)
    assert columns() == ([40, 4, 8], 52), "of 40 users there are no more"
    monkeypatch.setattr(recobatch.interest.candidates, "MANY_RATINGS", len(data) - 1)
    assert columns() == ([12, 4, 8], 10)
    assert columns(InterestOptions(ease_rank=20)) == ([20, 4, 8], 32)
