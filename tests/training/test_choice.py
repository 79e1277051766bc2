"""The choice of the champion on ratings cut from train."""

from dataclasses import replace

import numpy as np
import pytest

from recobatch.encode import Encoded
from recobatch.errors import BadSettings
from recobatch.interactions import Split
from recobatch.models.options import ModelOptions
from recobatch.training.choice import compare_split, held_out_parts, train_without_more, validation_error
from recobatch.training.fit import TrainingInputs
from recobatch.training.recipe import Recipe


@pytest.fixture
def inputs(low_rank, tmp_path):
    later = np.arange(len(low_rank)) % 5 == 0
    parts = Split(low_rank.take(~later), low_rank.take(later))
    encoded = Encoded(tmp_path, low_rank.n_users, low_rank.n_items, len(low_rank), None)
    options = ModelOptions(n_factors=2, bayesian_factors=2, sweeps=20)
    return TrainingInputs(encoded, parts, (1.0, 5.0), options, Recipe(epochs=1), seed=4)


def pairs(part):
    return set(zip(part.user_index.tolist(), part.item_index.tolist(), strict=True))


def test_the_parts_are_a_seeded_division_of_train(inputs):
    parts = compare_split(inputs.split, 0.25, 4)
    assert len(parts.test) == round(0.25 * len(inputs.split.train))
    assert pairs(parts.train) | pairs(parts.test) == pairs(inputs.split.train)
    assert not pairs(parts.train) & pairs(parts.test)
    assert compare_split(inputs.split, 0.25, 4).test.fingerprint == parts.test.fingerprint
    assert compare_split(inputs.split, 0.25, 5).test.fingerprint != parts.test.fingerprint


def test_no_rating_is_held_out_twice(inputs):
    parts = list(held_out_parts(inputs.split, 0.3, 4))
    assert len(parts) == 3
    assert parts[0].test.fingerprint == compare_split(inputs.split, 0.3, 4).test.fingerprint
    assert len(set().union(*(pairs(part.test) for part in parts))) == sum(len(part.test) for part in parts)
    for part in parts:
        assert pairs(part.train) | pairs(part.test) == pairs(inputs.split.train)
        assert not pairs(part.train) & pairs(part.test)


@pytest.mark.slow  # TensorFlow is loaded
@pytest.mark.parametrize(("parts", "more"), [(0.5, 0), (1.5, 1), (9, 1)])
def test_a_keras_model_is_trained_without_further_parts_until_they_suffice(inputs, monkeypatch, parts, more):
    size = round(0.2 * len(inputs.split.train))
    monkeypatch.setattr("recobatch.training.choice._ENOUGH", int(parts * size))
    found = list(train_without_more("explicit_mf", inputs, 0.2))
    assert len(found) == more
    assert len({factors.fingerprint for factors in found}) == more
    assert not list(train_without_more("bayesian_mf", inputs, 0.2))


@pytest.mark.parametrize("name", ["bayesian_mf", pytest.param("explicit_mf", marks=pytest.mark.slow)])
def test_the_test_part_has_no_influence(inputs, name):
    error = validation_error(name, inputs, 0.25)
    test = inputs.split.test
    other = replace(inputs, split=Split(inputs.split.train, replace(test, rating=6 - test.rating)))
    assert validation_error(name, other, 0.25) == error


@pytest.mark.slow  # TensorFlow is loaded
def test_the_model_of_the_known_truth_is_ahead(inputs):
    assert validation_error("bayesian_mf", inputs, 0.25) < validation_error("explicit_mf", inputs, 0.25)


def test_a_part_without_ratings_is_refused(inputs):
    few = inputs.split.train.take(np.arange(3))
    with pytest.raises(BadSettings, match=r"champion\.validation_fraction: found 0\.125 of 3 training ratings"):
        compare_split(Split(few, inputs.split.test), 0.125, 0)
