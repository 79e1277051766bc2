"""The best products are those of a brute force, although most products are never computed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.factors import Link
from recobatch.scoring.product import ProductScore
from recobatch.scoring.pruning import MANY_ITEMS, Pruner
from tests.support.brute_force import best_unseen
from tests.support.small_table import make_model


def plain_products(raw, interest, link):
    with np.errstate(over="ignore", invalid="ignore"):
        if link is Link.SCALED_SIGMOID:
            above = interest / (np.exp(-raw) + np.float32(1)) * np.float32(4)
        else:
            above = interest * (np.clip(raw, np.float32(1), np.float32(5)) - np.float32(1))
    scores = np.where(interest < 0, interest * np.float32(4), above)
    return np.where(np.isnan(above), np.float32(-np.inf), scores)


def ranked(raw, interest, rated, k, link, pruner):
    interest = np.where(rated, np.float32(-np.inf), interest)
    if pruner:
        blocks = pruner.blocks[0][: len(raw)], pruner.blocks[1][: len(raw)]
        blocks[0][:], blocks[1][:] = raw, interest
        raw, interest = blocks
    best = ProductScore(make_model(1, 1, link=link)).best(raw, interest, k, np.full_like(raw, np.nan), pruner)
    return list(zip(*(column.tolist() for column in best[:4]), strict=True))


def odd_scores(rng, shape, level, liking, unit, odd):
    """With a share of numbers at the limits."""
    raw = (level * rng.integers(0, 2, (shape[0], 1)) + rng.normal(size=shape)).astype(np.float32)
    interest = ((liking + rng.normal(size=shape)) * unit).astype(np.float32)
    for values in (raw, interest):
        values[rng.random(shape) < odd / 2] = rng.choice([0, -0.0, np.nan, np.inf, -np.inf])
    return raw, interest


ODD = {
    "seed": st.integers(0, 2**32 - 1), "level": st.sampled_from([-90.0, -4.0, -1.0, 0.0, 2.0, 90.0]),
    "liking": st.sampled_from([-1.0, 0.0, 3.0]), "unit": st.sampled_from([1e-38, 1e-25, 1.0, 1e30]),
    "seen": st.floats(0, 1), "odd": st.floats(0, 0.3),
}  # fmt: skip


@pytest.mark.parametrize("link", list(Link))
@given(shape=st.tuples(st.integers(1, 9), st.integers(1, 60)), k=st.integers(1, 20), **ODD)
def test_ranks_like_a_brute_force(link, shape, k, seed, level, liking, unit, seen, odd):
    rng = np.random.default_rng(seed)
    raw, interest = odd_scores(rng, shape, level, liking, unit, odd)
    rated = rng.random(shape) < seen
    scores = plain_products(raw, interest, link)
    assert ranked(raw, interest, rated, k, link, None) == best_unseen(scores, rated | np.isneginf(scores), k)


@pytest.mark.parametrize("link", list(Link))
@given(rows=st.integers(1, 4), k=st.integers(1, 12), is_rounded=st.booleans(), **ODD)
def test_ranks_many_items_like_a_brute_force(link, rows, k, is_rounded, seed, level, liking, unit, seen, odd):
    """Rounded scores tie; some rows have more candidates than there is room for, others too few."""
    rng, shape = np.random.default_rng(seed), (rows, MANY_ITEMS + 7)
    raw, interest = odd_scores(rng, shape, level, liking, unit, odd)
    if is_rounded:
        raw, interest = np.round(raw), np.round(interest / np.float32(unit), 1) * np.float32(unit)
    rated = rng.random(shape) < seen
    scores = plain_products(raw, interest, link)
    found = ranked(raw, interest, rated, k, link, Pruner.of(shape[1], k, [64, 64]))
    assert found == best_unseen(scores, rated | np.isneginf(scores), k)


@pytest.mark.parametrize("link", list(Link))
def test_few_products_are_computed(monkeypatch, link):
    rng, computed, plain = np.random.default_rng(0), [], ProductScore._products
    raw, interest = (rng.normal(0.5, 0.8, (64, 5000)).astype(np.float32) for _ in range(2))

    def products(self, raw, *others):
        computed.append(raw.size)
        return plain(self, raw, *others)

    monkeypatch.setattr(ProductScore, "_products", products)
    ranked(raw, interest, np.zeros(raw.shape, bool), 20, link, Pruner.of(5000, 20, [64, 64]))
    assert sum(computed) < 0.02 * raw.size
