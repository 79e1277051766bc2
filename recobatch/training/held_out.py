"""Intervals of a model, calibrated on a part of its training ratings that another training of it did not see."""

from dataclasses import replace

import numpy as np

from recobatch.errors import BadInput
from recobatch.evaluation.calibration import calibrate_model
from recobatch.interactions import Split
from recobatch.intervals import Calibration
from recobatch.training.choice import compare_split, shortened
from recobatch.training.fit import TrainingInputs, fitter


def calibrate_held_out(name: str, inputs: TrainingInputs, fraction: float) -> Calibration | None:
    """Calibrate the intervals of a model that is trained on ``inputs``, by one more, shorter training.

    Args:
        name: Of the model.
        inputs: As for its training; its test ratings are not used.
        fraction: Share of the training ratings that the intervals are calibrated on, as in ``compare_split``.

    Returns:
        None where the training ratings are too few to hold one out.

    Raises:
        BadSettings: As ``recobatch.training.fit.fit``.
    """
    try:
        parts = compare_split(inputs.split, fraction, inputs.seed)
    except BadInput:  # too few training ratings
        return None
    shorter = shortened(replace(inputs, split=blind(parts)), inputs.split.train)
    other = fitter(name)(name, shorter, None, None).factors
    return calibrate_model(other, seen=parts.train, held_out=parts.test, train=inputs.split.train)


def blind(split: Split) -> Split:
    """The split without its test ratings."""
    return Split(split.train, split.test.take(np.zeros(0, dtype=np.int64)))
