"""A model trained and measured on one fold: errors, and intervals calibrated on a part of the training ratings."""

from dataclasses import dataclass, replace

from recobatch.evaluation.fold_errors import FoldErrors, fold_errors
from recobatch.evaluation.noise import HeldOut
from recobatch.evaluation.uncertainty import UncertaintyQuality, assess_uncertainty
from recobatch.factors import FactorModel
from recobatch.training.fit import OnEpoch, TrainingInputs, fitter
from recobatch.training.held_out import blind, calibrate_held_out


@dataclass(frozen=True, eq=False)
class FoldFit:
    """A model on one fold."""

    factors: FactorModel
    """Trained on the training part alone."""
    errors: FoldErrors
    intervals: UncertaintyQuality | None
    """None where no training ratings could be held out."""
    seconds: float
    """Training, without that for the intervals."""


def fit_fold(name: str, inputs: TrainingInputs, *, fraction: float, on_epoch: OnEpoch | None = None) -> FoldFit:
    """Train a model on the training part of a fold and measure it on the test part.

    The training is not given the test ratings. The intervals are calibrated on the predictions of another, shorter
    training for a part of the training ratings that was held out from it.

    Args:
        name: Of the model.
        inputs: The fold's split, and how to train.
        fraction: Share of the training ratings that the intervals are calibrated on; 0 for no intervals.
        on_epoch: Called after every epoch.

    Raises:
        BadSettings: As ``recobatch.training.fit.fit``.
    """
    fitted = fitter(name)(name, replace(inputs, split=blind(inputs.split)), None, on_epoch)
    errors = fold_errors(fitted.factors, inputs.split)
    intervals = _intervals(name, inputs, fitted.factors, fraction) if fraction else None
    return FoldFit(fitted.factors, errors, intervals, fitted.history.seconds)


def _intervals(name: str, inputs: TrainingInputs, factors: FactorModel, fraction: float) -> UncertaintyQuality | None:
    calibration = calibrate_held_out(name, inputs, fraction)
    return None if calibration is None else assess_uncertainty(calibration, HeldOut.of(factors, inputs.split.test))
