"""How sure the champion is, in the words of a batch."""

from dataclasses import replace
from pathlib import Path

from flows.outputs import CalibratedModel
from flows.results.model_summary import ModelSummary
from flows.results.summary import BatchSummary
from flows.results.uncertainty import uncertainty_figures, uncertainty_remarks
from recobatch.evaluation.uncertainty import UncertaintyQuality

QUALITY = UncertaintyQuality(0.9069, (0.9, None), (None, 0.91), 2.62, 0.2365, 0.4868, 0.4911, 1.2613, 1.2892)
CALIBRATED = CalibratedModel(Path("calibration.npz"), "held-out training ratings", QUALITY)


def test_the_figures_are_those_of_the_summary():
    figures = uncertainty_figures(CALIBRATED)
    summary = ModelSummary("run", **figures)
    assert ModelSummary.from_dict(summary.to_dict()) == summary
    assert summary.to_dict()["coverage_90_by_user_activity"] == [0.9, None]
    assert uncertainty_figures(None) == {}


def test_one_sentence_says_how_sure_the_champion_is():
    model = ModelSummary("run", **uncertainty_figures(CALIBRATED))
    summary = BatchSummary("b1", "bayesian_mf", models={"bayesian_mf": model})
    assert list(uncertainty_remarks(summary)) == [
        "90 % intervals of bayesian_mf hold 90.7% of the test ratings; they are 2.62 wide on average."
    ]
    assert not list(uncertainty_remarks(replace(summary, champion="other")))
    assert not list(uncertainty_remarks(replace(summary, models={"bayesian_mf": ModelSummary("run")})))
