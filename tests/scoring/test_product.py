"""The best products are those of a brute force, although most products are never computed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.factors import FactorModel, Link
from recobatch.scoring import product
from recobatch.scoring.product import ProductScore
from recobatch.scoring.ranking import rank_candidates
from tests.support.brute_force import best_unseen


def rating_of(link):
    zeros = np.zeros((1, 0), np.float32), np.zeros(1, np.float32)
    return FactorModel(zeros[0], zeros[0], zeros[1], zeros[1], 0.0, link, 1.0, 5.0)


def plain_products(raw, interest, link):
    with np.errstate(over="ignore", invalid="ignore"):
        if link is Link.SCALED_SIGMOID:
            above = interest / (np.exp(-raw) + np.float32(1)) * np.float32(4)
        else:
            above = interest * (np.clip(raw, np.float32(1), np.float32(5)) - np.float32(1))
    scores = np.where(interest < 0, interest * np.float32(4), above)
    return np.where(np.isnan(above), np.float32(-np.inf), scores)


def ranked(raw, interest, rated, k, link):
    spare = np.full_like(raw, np.nan)
    rows, places, scores = ProductScore(rating_of(link)).candidates(raw, interest, np.flatnonzero(rated), k, spare)
    chosen, ranks = rank_candidates(rows, scores, k)
    items = places - rows * raw.shape[1]
    return list(zip(*(c.tolist() for c in (rows[chosen], ranks, items[chosen], scores[chosen])), strict=True))


@pytest.mark.parametrize("link", list(Link))
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 60)), k=st.integers(1, 20), seed=st.integers(0, 2**32 - 1),
    level=st.sampled_from([-90.0, -4.0, -1.0, 0.0, 2.0, 90.0]), liking=st.sampled_from([-1.0, 0.0, 3.0]),
    unit=st.sampled_from([1e-38, 1e-25, 1.0, 1e30]), seen=st.floats(0, 1), odd=st.floats(0, 0.3),
)  # fmt: skip
def test_ranks_like_a_brute_force(link, shape, k, seed, level, liking, unit, seen, odd):
    rng = np.random.default_rng(seed)
    raw = (level * rng.integers(0, 2, (shape[0], 1)) + rng.normal(size=shape)).astype(np.float32)
    interest = ((liking + rng.normal(size=shape)) * unit).astype(np.float32)
    for values in (raw, interest):
        values[rng.random(shape) < odd / 2] = rng.choice([0, -0.0, np.nan, np.inf, -np.inf])
    rated = rng.random(shape) < seen
    scores = plain_products(raw, interest, link)
    assert ranked(raw, interest, rated, k, link) == best_unseen(scores, rated | np.isneginf(scores), k)


def test_few_products_are_computed(monkeypatch):
    rng, computed, plain = np.random.default_rng(0), [], ProductScore._products
    raw, interest = (rng.normal(0.5, 0.8, (64, 4000)).astype(np.float32) for _ in range(2))

    def products(self, raw, *others):
        computed.append(raw.size)
        return plain(self, raw, *others)

    monkeypatch.setattr(ProductScore, "_products", products)
    ranked(raw, interest, np.zeros(raw.shape, bool), 20, Link.SCALED_SIGMOID)
    assert sum(computed) < 0.02 * raw.size


def test_the_bound_is_above_the_sigmoid():
    score = np.linspace(-100, 100, 2_000_001)
    bound = product._SLOPE * (np.clip(score, product._LOWEST, product._HIGHEST) + product._OFFSET)
    assert (bound * product._ROUNDING >= 1 / (1 + np.exp(-score))).all()
