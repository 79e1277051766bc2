import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.interactions import EncodedInteractions
from recobatch.training import epoch_data
from recobatch.training.epoch_data import build_epoch_data, padded_length, part_length

pytestmark = pytest.mark.slow


def rows(n):
    index = np.arange(n, dtype=np.int32)
    return EncodedInteractions(index, index[::-1].copy(), index.astype(np.float32), index.astype(np.int64), n, n)


def epoch(data):
    """The columns of one epoch, without the padding, which is checked."""
    columns = [[], [], []]
    for part, n_rows in data.parts():
        for column, values in zip(columns, part, strict=True):
            assert values.shape == (data.length,)
            assert not values.numpy()[n_rows:].any()
            column.extend(values.numpy()[:n_rows].tolist())
    return columns


@given(
    n=st.integers(1, 5000), pieces=st.sampled_from([1 << 20, 100]), at_once=st.sampled_from([1 << 22, 500, 3]),
    share=st.sampled_from([0, 0.1, 0.9]), seed=st.integers(0, 9),
)  # fmt: skip
def test_every_epoch_sees_every_rating_once(n, pieces, at_once, share, seed):
    rng = np.random.default_rng(seed)
    held = rng.random(n) < share
    held[0] = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epoch_data, "_PIECES", pieces)
        patch.setattr(epoch_data, "_MOST_AT_ONCE", at_once)
        data = build_epoch_data(rows(n), length=part_length(n, 32), rng=rng, held=held if share else None)
        assert data.n_rows == n - held.sum()
        for _ in range(2):
            user, item, rating = epoch(data)
            assert sorted(user) == np.flatnonzero(~held).tolist()
            assert item == [n - 1 - index for index in user]
            assert rating == user


@pytest.mark.parametrize("pieces", [1 << 20, 100])
def test_parts_do_not_change_the_order(monkeypatch, pieces):
    monkeypatch.setattr(epoch_data, "_PIECES", pieces)
    seen = []
    for length in (32, 96, 1024):
        data = build_epoch_data(rows(1000), length=length, rng=np.random.default_rng(3))
        seen.append([epoch(data), epoch(data)])
    assert seen[0] == seen[1] == seen[2]


def test_epochs_differ_and_without_a_generator_do_not():
    shuffled = build_epoch_data(rows(100), length=128, rng=np.random.default_rng(0))
    assert epoch(shuffled) != epoch(shuffled)
    kept = build_epoch_data(rows(100), length=128, rng=None)
    assert epoch(kept)[0] == list(range(100))


@given(n=st.integers(1, 10**9), batch_size=st.sampled_from([1, 32, 1000, 1 << 23]))
def test_a_part_is_whole_mini_batches_and_bounded(n, batch_size):
    length = part_length(n, batch_size)
    assert length % batch_size == 0
    assert length <= max(1 << 22, batch_size)


@given(n=st.integers(1, 10**9), batch_size=st.sampled_from([1, 32, 1000]))
def test_lengths_hold_the_rows_and_are_few(n, batch_size):
    length = padded_length(n, batch_size)
    assert length % batch_size == 0
    assert n <= length <= 1.125 * n + batch_size
    assert len({padded_length(m, batch_size) for m in range(n, n + n // 2, max(1, n // 500))}) <= 16
