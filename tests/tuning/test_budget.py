import pytest

from recobatch.errors import BadSettings
from recobatch.tuning import Budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("60s", Budget(seconds=60)), ("10m", Budget(seconds=600)), ("1.5 h", Budget(seconds=5400)),
        ("200 trials", Budget(trials=200)), ("1 trial", Budget(trials=1)), ("30", Budget(trials=30)),
    ],
)  # fmt: skip
def test_a_budget_is_a_duration_or_a_number_of_trials(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "soon", "0s", "-5", "1.5 trials", "60 seconds or so"])
def test_anything_else_is_refused(text):
    with pytest.raises(BadSettings, match=r"--budget: found .*, expected a duration such as 60s"):
        Budget.parse(text)
