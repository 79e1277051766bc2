"""Why the champion is the champion, and what its published predictions know, as every view says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from flows.results.comparison import shown
from recobatch.evaluation.standing import Standing

if TYPE_CHECKING:
    from flows.results.model_summary import ModelSummary
    from flows.results.summary import BatchSummary


def choice_remarks(summary: BatchSummary) -> Iterator[str]:
    """How far the champion is ahead on the ratings that chose it, which ratings it knows, and whether it was promoted;
    and why a model is not in the table.

    One sentence each.
    """
    champion = summary.models.get(summary.champion)
    if champion is None:
        return
    errors = {name: _error(name, model) for name, model in summary.models.items() if model.validation_mse is not None}
    if len(errors) == len(summary.models) > 1:
        yield standing_remark(summary.champion, errors)
    if champion.trained_on == "all ratings":
        yield "Its published predictions know all ratings; its errors are those of the model before it was given them."
    if champion.refit_failed is not None:
        yield (
            f"{summary.champion} is published as it was measured, without the ratings that were held out: "
            f"{champion.refit_failed}."
        )
    for name, reason in summary.left_out.items():
        any_more = " any more" if summary.data.scored_only else ""
        yield f"The table has no predictions of {name}{any_more}: {reason}."
    if summary.promotion is not None:
        yield f"In the registry, {summary.champion} is {summary.promotion.reason}."


def standing_remark(champion: str, errors: Mapping[str, str]) -> str:
    """Which ratings chose the champion, and how far it is ahead.

    Args:
        champion: Its name.
        errors: Model → MSE on these ratings, with its spread and the distance to the best where they are known.
    """
    others = ", ".join(f"{name} {error}" for name, error in errors.items() if name != champion)
    ahead = f"; {others}" if others else ""
    return f"★ {champion}: MSE on ratings held out from training {errors[champion]}{ahead}."


def _error(name: str, model: ModelSummary) -> str:
    mse, se, behind, behind_se = (
        model.validation_mse, model.validation_se, model.validation_behind, model.validation_behind_se,
    )  # fmt: skip
    if mse is None or se is None or behind is None or behind_se is None:
        return shown(mse, ".4f")
    return str(Standing(name, mse, se, behind, behind_se))
