"""Trials train on a part of the training ratings; nothing else is looked at."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recobatch.encode import Encoded
from recobatch.errors import BadSettings, RecobatchError
from recobatch.models.options import ModelOptions
from recobatch.models.search_space import KERAS_SPACE, Choices, Range
from recobatch.split import SplitOptions, split
from recobatch.training.recipe import Recipe
from recobatch.tuning import Budget, SearchInputs, SearchResult, Trial, settings_together
from recobatch.tuning.search import search
from recobatch.tuning.study import open_study
from recobatch.tuning.training import train_once

pytestmark = pytest.mark.slow

SPACE = replace(
    KERAS_SPACE,
    dimensions={"model.n_factors": Choices((2, 4)), "train.learning_rate": Range(0.01, 0.1, log=True)},
    fixed={**KERAS_SPACE.fixed, "model.initial_scale": 0.1, "train.batch_size": 32},
    trial={"train.epochs": 4, "train.patience": 3},
    first={},
)


@pytest.fixture
def inputs(low_rank):
    parts = split(low_rank, SplitOptions())
    encoded = Encoded(Path("missing"), low_rank.n_users, low_rank.n_items, len(low_rank), None)
    return SearchInputs(parts.train, encoded, (1.0, 5.0), ModelOptions(n_factors=2), Recipe(epochs=1), seed=1)


def searched(inputs, root, trials=3, **options):
    with open_study(root, "mine", space=SPACE, shaped_by="ratings", seed=1) as study:
        return search("explicit_mf_bias", inputs, study, SPACE, Budget(trials=trials), workers=1, **options)


@pytest.mark.long
def test_no_test_rating_reaches_a_trial(low_rank, inputs, tmp_path):
    """Whatever the ratings of the test part are, every trial is the same."""
    parts = split(low_rank, SplitOptions())
    rows = np.isin(low_rank.user_index * 40 + low_rank.item_index, parts.test.user_index * 40 + parts.test.item_index)
    spoilt = replace(low_rank, rating=np.where(rows, np.float32(1), low_rank.rating))
    other = replace(inputs, train=split(spoilt, SplitOptions()).train)
    assert split(spoilt, SplitOptions()).test.rating.mean() == 1
    one, two = (searched(each, tmp_path / str(number)) for number, each in enumerate((inputs, other)))
    strip = [[replace(trial, seconds=0) for trial in (found.baseline, *found.trials)] for found in (one, two)]
    assert strip[0] == strip[1]


def test_trials_are_judged_on_training_ratings_that_none_is_trained_on(inputs):
    parts = inputs.split()
    assert len(parts.train) + len(parts.test) == len(inputs.train)
    key = [part.user_index * 40 + part.item_index for part in (parts.train, parts.test, inputs.train)]
    assert not np.isin(key[0], key[1]).any()
    assert sorted(np.concatenate(key[:2])) == sorted(key[2])
    assert parts.validation is parts.test


def test_the_result_is_better_than_the_settings_in_force_and_can_be_had_again(inputs, tmp_path):
    seen = []
    found = searched(inputs, tmp_path, on_trial=seen.append)
    assert found.best.validation_mse < found.baseline.validation_mse
    assert found.best in found.trials
    assert sorted(trial.validation_mse for trial in seen) == [trial.validation_mse for trial in found.finished]
    assert found.settings["train.epochs"] == found.best.best_epoch
    assert found.settings["train.optimizer"] == "sgd"
    again = train_once("explicit_mf_bias", inputs, inputs.split(), {**found.settings, "train.patience": "null"})
    assert again.validation_mse == pytest.approx(found.best.validation_mse, rel=1e-4)


def test_a_second_run_continues_without_training_the_baseline_again(inputs, tmp_path):
    first = searched(inputs, tmp_path)
    second = searched(inputs, tmp_path, trials=4)
    assert second.baseline == first.baseline
    assert second.trials[:3] == first.trials
    assert len(second.trials) == 4


def test_a_model_that_cannot_be_trained_is_refused_and_one_that_diverges_is_searched(inputs, tmp_path, monkeypatch):
    def refuse(error):
        def train(*_arguments):
            raise error

        return train

    monkeypatch.setattr("recobatch.tuning.search.train_once", refuse(BadSettings("found Dropout")))
    with pytest.raises(BadSettings, match="found Dropout"):
        searched(inputs, tmp_path / "refused")
    monkeypatch.setattr("recobatch.tuning.search.train_once", refuse(RecobatchError("found a loss of nan")))
    with pytest.raises(RecobatchError, match="found 3 trials that all failed"):
        searched(inputs, tmp_path / "diverged")


def test_settings_in_force_that_are_best_stay(inputs, tmp_path):
    well = replace(
        inputs,
        options=ModelOptions(n_factors=4, initial_scale=0.1, l2=0),
        recipe=Recipe(epochs=60, optimizer="sgd", learning_rate=0.1, decay=0.99, l2_per_rating=0.01),
    )
    found = searched(well, tmp_path, trials=1)
    assert found.best is found.baseline
    assert found.settings == {}


def found_of(model, error, settings, baseline=1.0):
    trials = (Trial(0, "finished", settings, error),)
    return SearchResult(model, f"study of {model}", Trial(-1, "finished", {}, baseline), trials, settings)


@pytest.mark.long
def test_settings_together_are_those_of_the_best_model_of_each_kind():
    keras = (
        found_of("explicit_mf", 0.9, {"model.n_factors": 16}),
        found_of("explicit_mf_bias", 0.8, {"model.n_factors": 40}),
    )
    sampled = found_of("bayesian_mf", 0.7, {"model.bayesian_factors": 8})
    assert settings_together([*keras, sampled]) == {"model.n_factors": 40, "model.bayesian_factors": 8}
    unchanged = found_of("explicit_mf_bias", 0.8, {}, baseline=0.6)
    assert settings_together([keras[0], unchanged, sampled]) == {"model.bayesian_factors": 8}
