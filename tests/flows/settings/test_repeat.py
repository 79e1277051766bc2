"""The command that repeats a batch gives its settings back."""

import os
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from flows.settings.load import load_settings
from flows.settings.repeat import repeat_command


def settings(*assignments, **given):
    return load_settings(given, assignments, environment={}, toml=Path(os.devnull))


def typed(command):
    """The settings that the command line makes of a command."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words[:2] == ["recobatch", "run"]
    assert words[3] == "--fresh"
    given = {"data": {"ratings": words[2]}}
    if "--preset" in words:
        given["preset"] = words[words.index("--preset") + 1]
    assignments = [after for word, after in pairwise(words) if word == "--set"]
    return settings(*assignments, **given), assignments


@pytest.mark.parametrize(
    "changed",
    [
        (),
        ("preset=tuned",),
        ("preset=tuned", "train.epochs=8", "seed=7"),
        ("models=explicit_mf", "gate.baseline=none", "train.learning_rate=0.0005"),
        ("data.delimiter=,", "data.user_column=user, or not", "drift.users_gone=null"),
        ("split.ratios=0.7,0.2,0.1", "ingest.rating_range=1,5", "data.delimiter=\t"),
    ],
    ids=" ".join,
)
def test_the_command_gives_the_settings_back_and_names_nothing_else(changed):
    before = settings(*changed, data={"ratings": "it's mine.csv"})
    after, assignments = typed(repeat_command("run", before))
    assert after == before
    assert len(assignments) == len([assignment for assignment in changed if not assignment.startswith("preset=")])


def test_no_secret_is_in_it():
    variable = {"RECOBATCH_DATA__RATINGS": "https://me:secret@host/r.csv?sig=abc"}
    command = repeat_command("train", load_settings(environment=variable, toml=Path(os.devnull)))
    assert command == "recobatch train https://host/r.csv --fresh"
