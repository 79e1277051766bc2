"""A new model beside the champion: the same test ratings, and only those that neither was trained with."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from recobatch.evaluation.promotion import compare_with_reigning, is_of_same_ratings, shared_pairs
from recobatch.factors import FactorModel
from recobatch.interactions import EncodedInteractions
from recobatch.model_folder import LoadedModel
from recobatch.rated import RatedPairs
from recobatch.vocabulary import Vocabulary

N_USERS, N_ITEMS = 20, 10


def constant(rating, n_users=N_USERS, n_items=N_ITEMS):
    """A model that predicts one rating, and half a star more for every next user."""
    bias = np.full(n_users, rating, dtype=np.float32) + np.arange(n_users, dtype=np.float32) / 2
    return FactorModel(
        np.zeros((n_users, 1), np.float32), np.zeros((n_items, 1), np.float32), bias, np.zeros(n_items, np.float32)
    )


def folder(path, model, pairs, *, first=0, test=None, ids=int):
    """A model on disk: its users are ``first`` and following, its rated pairs are given as raw ids."""
    path.mkdir()
    users = Vocabulary(pa.array([ids(first + user) for user in range(model.n_users)]))
    items = Vocabulary(pa.array([ids(item) for item in range(model.n_items)]))
    user, item = np.array(pairs).T
    sizes = {"n_users": model.n_users, "n_items": model.n_items}
    files = LoadedModel(model, users, items, RatedPairs.of_pairs(user - first, item, **sizes)).save(path)
    if test is not None:
        user, item = np.array(test).T
        RatedPairs.of_pairs(user - first, item, **sizes).save(files.test)
    return files


def ratings(pairs, first=0, n_users=N_USERS):
    user, item = np.array(pairs, dtype=np.int32).T
    return EncodedInteractions(
        user - first, item, np.full(len(user), 3, np.float32), np.zeros(len(user), np.int64), n_users, N_ITEMS
    )


PAIRS = [(user, item) for user in range(N_USERS) for item in range(N_ITEMS)]
HELD_OUT = [(user, item) for user, item in PAIRS if item < 4]


def test_rows_that_the_champion_was_trained_with_do_not_count(tmp_path):
    reigning = folder(tmp_path / "old", constant(3), PAIRS, test=HELD_OUT)
    test = [(user, item) for user, item in PAIRS if item % 2]  # items 1 and 3 are held out from both
    new = folder(tmp_path / "new", constant(2), PAIRS, test=test)
    found = compare_with_reigning(reigning, new, ratings(test))
    assert found.rows == 2 * N_USERS
    steps = np.arange(N_USERS) / 2
    assert found.reigning_mse == pytest.approx(np.mean(steps**2))
    assert found.mse == pytest.approx(np.mean((steps - 1) ** 2))
    assert found.is_better


def test_of_equal_models_the_champion_stays(tmp_path):
    reigning = folder(tmp_path / "old", constant(3), PAIRS, test=HELD_OUT)
    found = compare_with_reigning(reigning, reigning, ratings(HELD_OUT))
    assert (found.mse, found.se, found.is_better) == (found.reigning_mse, 0.0, False)


def test_it_is_measured_as_it_was_before_it_was_given_the_test_part(tmp_path):
    reigning = folder(tmp_path / "old", constant(3), PAIRS, test=HELD_OUT)
    constant(9).save(reigning.measured)
    found = compare_with_reigning(reigning, reigning, ratings(HELD_OUT))
    assert found.reigning_mse == pytest.approx(np.mean((6 + np.arange(N_USERS) / 2) ** 2))


def test_a_user_it_does_not_know_is_the_mean_of_those_it_knows(tmp_path):
    reigning = folder(tmp_path / "old", constant(3, n_users=2), [(0, 0), (1, 1)], test=[(0, 0)])
    unknown = [(user, item) for user, item in PAIRS if user >= 2]
    new = folder(tmp_path / "new", constant(3), PAIRS)
    found = compare_with_reigning(reigning, new, ratings(unknown))
    assert found.rows == len(unknown)
    assert found.reigning_mse == pytest.approx(0.25**2)


def test_a_champion_registered_without_its_test_part_is_compared_on_new_ratings_alone(tmp_path):
    reigning = folder(tmp_path / "old", constant(3), [(user, item) for user, item in PAIRS if item])
    new = folder(tmp_path / "new", constant(2), PAIRS)
    assert compare_with_reigning(reigning, new, ratings(HELD_OUT)) is None  # 20 rows are too few
    few = folder(tmp_path / "few", constant(3), [(user, item) for user, item in PAIRS if item > 1])
    assert compare_with_reigning(few, new, ratings(HELD_OUT)).rows == 2 * N_USERS


def test_the_same_ids_are_not_the_same_ratings(tmp_path):
    draw = np.random.default_rng(0).random((2, N_USERS, N_ITEMS)) < 0.2
    ours, theirs = (folder(tmp_path / name, constant(3), np.argwhere(drawn)).load() for name, drawn in
                    zip(("ours", "theirs"), draw, strict=True))  # fmt: skip
    assert not is_of_same_ratings(ours, theirs)
    assert is_of_same_ratings(ours, ours)
    every_third = folder(tmp_path / "third", constant(3), np.argwhere(draw[0])[::3]).load()
    assert is_of_same_ratings(ours, every_third)
    grown = replace(ours, rated=folder(tmp_path / "all", constant(3), PAIRS).load().rated)
    assert is_of_same_ratings(ours, grown)
    assert is_of_same_ratings(grown, ours)


def test_ids_of_another_type_are_other_ratings(tmp_path):
    numbers = folder(tmp_path / "numbers", constant(3), PAIRS)
    texts = folder(tmp_path / "texts", constant(3), PAIRS, ids="u{}".format)
    assert shared_pairs(numbers.load(), texts.load()) == 0.0
    assert shared_pairs(texts.load(), numbers.load()) == 0.0
    assert compare_with_reigning(numbers, texts, ratings(HELD_OUT)) is None
