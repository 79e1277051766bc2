import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recobatch.interactions import EncodedInteractions
from recobatch.rated import RatedPairs


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6))))
def test_the_mask_is_the_set_of_pairs(pairs):
    users, items = (np.array([pair[side] for pair in pairs], np.int32) for side in (0, 1))
    nothing = np.zeros(len(pairs))
    rated = RatedPairs.collect(EncodedInteractions(users, items, nothing, nothing, 5, 7))
    mask = np.zeros((5, 7), dtype=bool)
    mask[users, items] = True
    assert rated.n_users == 5
    assert (rated.mask(slice(0, 5)) == mask).all()
    assert (rated.mask(slice(1, 3)) == mask[1:3]).all()
    users, items = np.divmod(np.arange(35), 7)
    assert (rated.contains(users[::-1], items[::-1]) == mask.ravel()[::-1]).all(), "in whatever order one asks"
    assert {(int(user), int(item)) for user, item in zip(*rated.pairs(), strict=True)} == set(pairs)


def test_the_fingerprint_is_of_the_pairs():
    def rated(*items, n_items=7):
        return RatedPairs.of_pairs(np.zeros(len(items), int), np.array(items, int), n_users=1, n_items=n_items)

    assert rated(3, 1).fingerprint == rated(1, 3, 3).fingerprint
    assert (
        len({rated(*items).fingerprint for items in ((), (1,), (1, 3), (1, 4))} | {rated(1, n_items=8).fingerprint})
        == 5
    )


def test_the_places_of_pairs_in_any_order_and_of_pairs_that_ascend():
    rated = RatedPairs.of_pairs(np.array([2, 0, 2, 1]), np.array([4, 1, 0, 3]), n_users=3, n_items=5)
    user, item = (each.ravel() for each in np.mgrid[:3, :5])
    expected = np.full(15, -1)
    expected[[1, 8, 10, 14]] = np.arange(4)
    shuffled = np.random.default_rng(0).permutation(15)
    assert rated.places(user, item).tolist() == expected.tolist()
    assert rated.places(user[shuffled], item[shuffled]).tolist() == expected[shuffled].tolist()
