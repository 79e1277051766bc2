"""Losses and durations of a training."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self


@dataclass(frozen=True)
class History:
    """One training, epoch by epoch."""

    loss: list[float]
    """Mean squared error while training plus the model's own penalties, per epoch, as Keras reports ``loss``."""
    val_loss: list[float]
    """Mean squared error on the validation ratings plus penalties, per epoch; empty without validation ratings."""
    best_epoch: int
    """Epoch, from 1, whose weights the model holds: the best one with a patience, the one that a callback restored,
    else the last. After a refit, the number of its epochs."""
    val_se: float | None
    """Standard error of the mean squared error on the validation ratings in that epoch, before a refit; None without
    validation ratings."""
    stopped_early: bool
    """Whether early stopping or a callback ended training before the last epoch."""
    refitted: bool
    """Whether the model was trained again on all ratings for ``best_epoch`` epochs; their losses are not listed."""
    seconds: float
    """Wall time of the epochs with their validation, without compiling."""
    compile_seconds: float
    """Wall time of compiling; zero where an equal training compiled before in this process."""
    val_mse: float | None = None
    """Mean squared error on the validation ratings in the epoch of ``best_epoch``, without penalties, before a refit;
    None without validation ratings."""

    def scaled(self, factor: float) -> Self:
        """The same history with all errors times ``factor``."""
        losses, val_losses = ([factor * loss for loss in losses] for losses in (self.loss, self.val_loss))
        error, spread = (None if each is None else factor * each for each in (self.val_mse, self.val_se))
        return replace(self, loss=losses, val_loss=val_losses, val_mse=error, val_se=spread)

    def to_json(self) -> dict[str, Any]:
        """JSON values; a loss that is not finite is null, since JSON has no NaN."""
        figures = {
            name: None if value is None or not math.isfinite(value) else value
            for name, value in (("val_se", self.val_se), ("val_mse", self.val_mse))
        }
        return {**asdict(self), "loss": _finite(self.loss), "val_loss": _finite(self.val_loss), **figures}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_json``, with NaN for null."""
        losses = {name: [math.nan if loss is None else loss for loss in values[name]] for name in ("loss", "val_loss")}
        return cls(**{**values, **losses})


def _finite(values: list[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
