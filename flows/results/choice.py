"""Why the champion is the champion, and what its published predictions know, as every view says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.results.summary import BatchSummary


def choice_remarks(summary: BatchSummary) -> Iterator[str]:
    """How far the champion is ahead on the ratings that chose it, which ratings it knows, and whether it was promoted.

    One sentence each.
    """
    champion = summary.models.get(summary.champion)
    if champion is None:
        return
    errors = {name: model.validation_mse for name, model in summary.models.items() if model.validation_mse is not None}
    if len(errors) == len(summary.models) > 1:
        others = {name: mse for name, mse in errors.items() if name != summary.champion}
        second = min(others, key=lambda name: others[name])
        yield (
            f"Champion: {summary.champion}, by MSE on ratings held out from training: {errors[summary.champion]:.4f}, "
            f"against {others[second]:.4f} of {second}."
        )
    if champion.trained_on == "all ratings":
        yield "Its published predictions know all ratings; its errors are those of the model before it was given them."
    if summary.promotion is not None:
        yield f"In the registry, {summary.champion} is {summary.promotion.reason}."
