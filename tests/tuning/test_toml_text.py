import tomllib

import pytest

from recobatch.errors import BadSettings
from recobatch.tuning import as_toml, merged_toml

SETTINGS = {
    "model.l2": 0.0,
    "train.learning_rate": 1e-05,
    "train.patience": "null",
    "train.refit": False,
    "train.epochs": 12,
}
TREE = {
    "model": {"l2": 0.0},
    "train": {"learning_rate": 1e-05, "patience": "null", "refit": False, "epochs": 12},
}
FILE = """\
# ours
preset = "notebook"

[train]
epochs = 5  # enough
shuffle = true

[data]
ratings = "ours.csv"  # every night
"""


def test_settings_become_toml_below_a_comment():
    text = as_toml(SETTINGS, comment="found\nby a search")
    assert text.startswith("# found\n# by a search\n\n[model]\n")
    assert tomllib.loads(text) == TREE


def test_a_new_file_holds_the_settings_alone():
    assert tomllib.loads(merged_toml("", SETTINGS, name="recobatch.toml")) == TREE


def test_other_settings_and_comments_stay():
    merged = merged_toml(FILE, SETTINGS, name="recobatch.toml")
    assert tomllib.loads(merged) == {
        "preset": "notebook",
        "train": TREE["train"] | {"shuffle": True},
        "data": {"ratings": "ours.csv"},
        "model": {"l2": 0.0},
    }
    for line in ("# ours", "shuffle = true", 'ratings = "ours.csv"  # every night'):
        assert line in merged.splitlines()
    assert merged_toml(merged, SETTINGS, name="recobatch.toml") == merged


@pytest.mark.parametrize("text", ["train = {epochs = 5}\n", "train.epochs = 5\n", '[train]\n"epochs" = 5\n'])
def test_settings_in_another_form_are_left_alone(text):
    with pytest.raises(BadSettings, match="expected key = value below"):
        merged_toml(text, SETTINGS, name="recobatch.toml")


def test_a_file_that_is_no_toml_is_refused():
    with pytest.raises(BadSettings, match=r"recobatch\.toml: found no valid TOML"):
        merged_toml("[train", SETTINGS, name="recobatch.toml")
