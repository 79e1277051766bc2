"""No item that may be among the best is left out, and few others remain."""

import threading

import numpy as np
import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from recobatch.factors import Link
from recobatch.scoring import pruning
from recobatch.scoring.pruning import Bound, Pruner
from tests.support.small_table import make_model

K, N_ITEMS = 20, 5000


@pytest.fixture
def pruner():
    return Pruner.of(N_ITEMS, K, [64, 128])


def put(pruner, raw, interest):
    """The scores as rows of the blocks."""
    blocks = pruner.blocks[0][: len(raw)], pruner.blocks[1][5 : 5 + len(raw)]
    blocks[0][:], blocks[1][:] = raw, interest
    return blocks


def products(raw, interest, link):
    """In the unit of the bounds."""
    if link is Link.SCALED_SIGMOID:
        return interest.astype(np.float64) / (1 + np.exp(-raw.astype(np.float64)))
    return interest * (np.clip(raw, np.float32(1), np.float32(5)) - np.float32(1))


@pytest.mark.parametrize("link", list(Link))
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 64), level=st.sampled_from([-3.0, 0.0, 2.0, 30.0]))
def test_whatever_exceeds_the_least_product_is_a_candidate(link, seed, n, level):
    rng = np.random.default_rng(seed)
    raw = rng.normal(level, 2, (n, N_ITEMS)).astype(np.float32)
    interest = rng.normal(0.2, 1, (n, N_ITEMS)).astype(np.float32)
    interest[rng.random(interest.shape) < 0.3] = -np.inf
    pruner = Pruner.of(N_ITEMS, K, [64, 128])
    found = pruner.candidates(*put(pruner, raw, interest), Bound.of(make_model(1, 1, link=link), K))
    assert found.item.shape == (n, min(found.counts.max(), 4 * K)) == found.raw.shape == found.interest.shape
    with np.errstate(invalid="ignore", over="ignore"):
        exact = products(raw, interest, link)
    for row, count in enumerate(found.counts):
        items = found.item[row, :count]
        if np.isfinite(found.least[row]):
            assert set(np.flatnonzero(exact[row] >= found.least[row])) <= set(items)
        assert (np.diff(items) > 0).all()
        assert np.array_equal(raw[row, items], found.raw[row, :count])
        assert np.array_equal(interest[row, items], found.interest[row, :count])


@pytest.mark.parametrize("link", list(Link))
def test_few_candidates_remain(pruner, link):
    rng = np.random.default_rng(0)
    raw, interest = (rng.normal(0.8, 0.8, (64, N_ITEMS)).astype(np.float32) for _ in range(2))
    found = pruner.candidates(*put(pruner, raw, interest), Bound.of(make_model(1, 1, link=link), K))
    assert found.counts.min() >= K
    assert found.counts.mean() < 3 * K


def test_more_candidates_than_there_is_room_for_are_not_trusted(pruner):
    raw, interest = np.zeros((2, N_ITEMS), np.float32), np.ones((2, N_ITEMS), np.float32)
    interest[1] = np.linspace(9, 1, N_ITEMS)
    found = pruner.candidates(*put(pruner, raw, interest), Bound.of(make_model(1, 1), K))
    assert found.counts[0] == N_ITEMS
    assert found.least[0] == np.inf
    assert found.counts[1] < 1000


def test_the_bound_is_above_the_sigmoid():
    score = np.linspace(-100, 100, 2_000_001)
    bound = Bound.of(make_model(1, 1), K)
    highest = bound.slope * (np.clip(score, bound.lowest, bound.highest) + bound.offset)
    assert (highest >= 1 / (1 + np.exp(-score))).all()


def test_a_thread_keeps_its_memory():
    kept = Pruner.of(N_ITEMS, K, [64, 128])
    assert Pruner.of(N_ITEMS, K, [64, 128]) is kept
    others = []
    thread = threading.Thread(target=lambda: others.append(Pruner.of(N_ITEMS, K, [64, 128])))
    thread.start()
    thread.join()
    assert others[0] is not kept
    assert Pruner.of(N_ITEMS, K + 1, [64, 128]) is not kept


@pytest.mark.parametrize(("n_items", "k"), [(4095, 20), (5000, 400), (20_000_000, 20)])
def test_there_is_none_for_few_items_or_too_many(n_items, k):
    assert Pruner.of(n_items, k, [64, 64]) is None


def test_there_is_none_where_the_system_gives_no_memory(monkeypatch):
    def grow(*_):
        raise wasmtime.WasmtimeError("failed to grow memory")

    monkeypatch.setattr(wasmtime.Memory, "grow", grow)
    assert Pruner.of(N_ITEMS + 1, K, [64, 64]) is None
    assert pruning._instantiate(64) is None
