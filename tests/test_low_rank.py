"""The nearest product of fewer columns, as the singular values of the whole matrix have it."""

import numpy as np
import pytest

from recobatch import low_rank
from recobatch.low_rank import FewerColumns


def factors(n_users=350, n_items=90, width=20):
    rng = np.random.default_rng(3)
    users, items = (rng.normal(0.1, 1, (n, width)).astype(np.float32) for n in (n_users, n_items))
    users[:, -1] = users[:, 0]  # a column that adds nothing
    return users, items


@pytest.mark.parametrize("n_columns", [1, 7, 19])
def test_no_product_of_so_few_columns_is_nearer(monkeypatch, n_columns):
    monkeypatch.setattr(low_rank, "_ROWS_PER_GRAM", 100)
    users, items = factors()
    fewer = FewerColumns.of([users], [items[:, :3], items[:, 3:]], n_columns)
    found = fewer.of_users([users]) @ fewer.of_items([items]).T
    assert fewer.users.shape == (20, n_columns)
    values = np.linalg.svd(users.astype(np.float64) @ items.T, compute_uv=False)
    moved = np.square(found - users @ items.T.astype(np.float64)).sum()
    assert moved == pytest.approx(np.square(values[n_columns:]).sum(), rel=1e-4, abs=1e-6)


def test_the_bits_of_a_row_depend_on_no_other_row():
    users, items = factors()
    fewer = FewerColumns.of([users], [items], 7)
    whole = fewer.of_users([users[:, :4], users[:, 4:]])
    for part in (slice(0, 1), slice(3, 70), slice(100, 350)):
        assert np.array_equal(fewer.of_users([users[part]]), whole[part])
