"""How sure the champion is, from the summary of a batch, as every view says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.outputs import CalibratedModel
    from flows.results.summary import BatchSummary


def uncertainty_figures(calibrated: CalibratedModel | None) -> dict[str, Any]:
    """Fields of a ``ModelSummary``; none where the model was not calibrated in this run."""
    if calibrated is None:
        return {}
    quality = calibrated.quality
    return {
        "calibrated_on": calibrated.calibrated_on, "coverage_90": quality.coverage,
        "interval_width": quality.mean_width, "sd_error_correlation": quality.sd_error_correlation,
        "crps": quality.crps, "crps_constant": quality.crps_constant,
        "nll": quality.nll, "nll_constant": quality.nll_constant,
        "coverage_90_by_user_activity": list(quality.coverage_by_user_activity),
        "coverage_90_by_item_popularity": list(quality.coverage_by_item_popularity),
    }  # fmt: skip


def uncertainty_remarks(summary: BatchSummary) -> Iterator[str]:
    """How many test ratings the champion's intervals hold, and how wide they are; one sentence."""
    model = summary.models.get(summary.champion)
    if model is None or model.coverage_90 is None:
        return
    yield (
        f"90 % intervals of {summary.champion} hold {model.coverage_90:.1%} of the test ratings; they are "
        f"{model.interval_width:.2f} wide on average."
    )
