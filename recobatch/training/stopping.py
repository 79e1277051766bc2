"""Early stopping that the noise of the validation ratings does not trigger. NumPy only."""

from dataclasses import dataclass, field

import numpy as np

_STANDARD_ERRORS = 2.0
_PLATEAU = 3
"""Epochs within the noise that count as one that is worse."""


@dataclass
class EarlyStopping:
    """The best epoch so far, and whether training should stop.

    An epoch is worse than the best one if its mean error over the same ratings is higher by more than two standard
    errors of the difference (the paired form of the one-standard-error rule of Breiman et al., "Classification and
    Regression Trees", 1984, section 3.4.3). Between these, a validation of a few hundred ratings cannot tell which
    epoch is better.

    Args:
        patience: Epochs that are worse than the best before training stops; epochs within the noise count a third.
        min_epochs: First epoch that can be the best one; of those before, the last counts.
    """

    patience: int
    min_epochs: int = 1
    best_epoch: int = 0
    """From 1; 0 before the first epoch."""
    best_loss: float = float("inf")
    """Mean of its squared errors, without penalties."""
    _best_errors: np.ndarray = field(default_factory=lambda: np.empty(0))
    _epochs_worse: int = 0
    _epochs_within_noise: int = 0

    def is_best(self, epoch: int, errors: np.ndarray) -> bool:
        """Record an epoch; returns whether it is the best so far.

        Args:
            epoch: From 1.
            errors: Squared error of every validation rating, shape ``(n,)``, in the same order every time.
        """
        loss = float(errors.mean())
        if epoch <= self.min_epochs or loss < self.best_loss:
            self.best_epoch, self.best_loss, self._best_errors = epoch, loss, errors
            self._epochs_worse = self._epochs_within_noise = 0
            return True
        noise = standard_error(errors - self._best_errors)
        if loss - self.best_loss <= _STANDARD_ERRORS * noise:
            self._epochs_within_noise += 1
        else:
            self._epochs_worse += 1
        return False

    def should_stop(self) -> bool:
        """Whether the patience is exhausted."""
        counted = self._epochs_worse + self._epochs_within_noise / _PLATEAU
        return counted >= self.patience


def standard_error(values: np.ndarray) -> float:
    """Standard error of the mean of independent values; infinite for fewer than two."""
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("inf")
