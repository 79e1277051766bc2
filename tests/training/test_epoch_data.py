import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recobatch.interactions import EncodedInteractions
from recobatch.training import epoch_data
from recobatch.training.epoch_data import build_epoch_data, padded_length


def rows(n):
    index = np.arange(n, dtype=np.int32)
    return EncodedInteractions(index, index[::-1].copy(), index.astype(np.float32), index.astype(np.int64), n, n)


@given(n=st.integers(1, 5000), pieces=st.sampled_from([1 << 20, 100]), seed=st.integers(0, 9))
def test_every_epoch_sees_every_rating_once(n, pieces, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epoch_data, "_PIECES", pieces)
        data = build_epoch_data(rows(n), length=padded_length(n, 32), rng=np.random.default_rng(seed))
        for _ in range(2):
            user, item, rating = (column.numpy() for column in data.shuffle())
            assert sorted(user[:n]) == list(range(n))
            assert not user[n:].any()
            np.testing.assert_array_equal(item[:n], n - 1 - user[:n])
            np.testing.assert_array_equal(rating[:n], user[:n])


def test_epochs_differ_and_without_a_generator_do_not():
    shuffled = build_epoch_data(rows(100), length=128, rng=np.random.default_rng(0))
    assert shuffled.shuffle()[0].numpy().tolist() != shuffled.shuffle()[0].numpy().tolist()
    kept = build_epoch_data(rows(100), length=128, rng=None)
    assert kept.shuffle()[0].numpy()[:100].tolist() == list(range(100))


@given(n=st.integers(1, 10**9), batch_size=st.sampled_from([1, 32, 1000]))
def test_lengths_hold_the_rows_and_are_few(n, batch_size):
    length = padded_length(n, batch_size)
    assert length % batch_size == 0
    assert n <= length <= 1.125 * n + batch_size
    assert len({padded_length(m, batch_size) for m in range(n, n + n // 2, max(1, n // 500))}) <= 16
