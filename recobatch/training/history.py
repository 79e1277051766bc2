"""Losses and durations of a training."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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

    def to_json(self) -> dict[str, Any]:
        """JSON values; a loss that is not finite is null, since JSON has no NaN."""
        spread = None if self.val_se is None or not math.isfinite(self.val_se) else self.val_se
        return {**asdict(self), "loss": _finite(self.loss), "val_loss": _finite(self.val_loss), "val_se": spread}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``to_json``, with NaN for null."""
        losses = {name: [math.nan if loss is None else loss for loss in values[name]] for name in ("loss", "val_loss")}
        return cls(**{**values, **losses})


def _finite(values: list[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
