"""The results of a batch as sentences of its report."""

import numpy as np

from recobatch.ingest import IngestReport
from recobatch.report.evaluation_summary import Calibration, GroupErrors
from recobatch.report.inputs import ModelResult, ReportInputs, baseline_name


def verdict(inputs: ReportInputs) -> str:
    """How the champion compares with the other models and the baselines."""
    champion = inputs.champion_result
    if not champion.is_finite:
        return "Its error cannot be measured; do not use it."
    rivals = {name: mse for name, mse in inputs.test_errors.items() if name != champion.name}
    *parts, last = [f"{_change(champion.test_mse, mse)} than {name}" for name, mse in rivals.items()] or [
        f"{champion.test_mse:.3f}"
    ]
    compared = f"{', '.join(parts)} and {last}" if parts else last
    return f"Its squared error on {len(inputs.split.test):,} ratings held out from training is {compared}."


def warnings(inputs: ReportInputs) -> list[str]:
    """A refusal of the gate, models that are left out or failed, and models that are no better than a baseline."""
    finite = [model for model in inputs.ranked if model.is_finite]
    return [
        *([inputs.gate] if inputs.gate else []),
        *(f"{name} is left out: {reason}." for name, reason in inputs.left_out.items()),
        *(f"{model.name} predicts values that are no numbers." for model in inputs.models if not model.is_finite),
        *(
            f"{model.name} ({model.test_mse:.3f}) is no better than {baseline_name(name)} ({mse:.3f}), a baseline "
            f"without a model."
            for model in finite
            for name, mse in inputs.baselines.items()
            if not model.test_mse < mse
        ),
    ]


def training(champion: ModelResult) -> str:
    if not np.isfinite(champion.val_loss).all():
        return f"{champion.name} diverged: its loss is not finite."
    if not len(champion.val_loss):
        return f"No rows were held out while {champion.name} was trained, so only its training loss is drawn."
    lowest, last = int(np.argmin(champion.val_loss)) + 1, len(champion.val_loss)
    if lowest == last:
        return f"{champion.name} was still improving in its last epoch ({last}); more epochs may help."
    found = f"The val_loss of {champion.name} was lowest in epoch {lowest} of {last}"
    if champion.best_epoch in (None, lowest):
        return f"{found}; later epochs overfit."
    return f"{found}; its weights are those of epoch {champion.best_epoch}. Without train.patience the last are kept."


def calibration(champion: str, groups: Calibration) -> str:
    gap = np.abs(groups.predicted - groups.observed)
    worst = int(gap.argmax())
    return (
        f"Predictions of {champion}, sorted and cut into tenths, differ from the mean rating of their tenth by "
        f"{gap.mean():.2f} on average. The largest difference: predicted {groups.predicted[worst]:.1f}, rated "
        f"{groups.observed[worst]:.1f}."
    )


def distribution(prediction: np.ndarray, rating: np.ndarray) -> str:
    (low, high), (rated_low, rated_high) = (np.percentile(values, [10, 90]) for values in (prediction, rating))
    return (
        f"80% of the predictions lie between {low:.1f} and {high:.1f}, 80% of the ratings between {rated_low:.1f} and "
        f"{rated_high:.1f}. An uncertain model predicts values near the mean."
    )


def groups(champion: str, errors: GroupErrors, kind: str) -> str:
    """Where the champion's error is smallest and largest; ``kind`` is users or items."""
    rmse = errors.rmse[champion]
    best, worst = int(rmse.argmin()), int(rmse.argmax())
    named = [f"{kind} {'absent from training' if label == '0' else f'with {label} ratings'}" for label in errors.labels]
    if best == worst:
        return f"All test rows are of {named[0]}."
    return (
        f"The error of {champion} is smallest for {named[best]} (RMSE {rmse[best]:.2f}) and largest for "
        f"{named[worst]} ({rmse[worst]:.2f})."
    )


def quality(ingest: IngestReport) -> str:
    if not ingest.quarantined:
        return "No row was quarantined."
    share = ingest.quarantined / (ingest.quarantined + ingest.ratings)
    percent = f"{share:.2%}" if share >= 0.0001 else "less than 0.01%"
    kept = f" They are kept in {ingest.quarantine_path}." if ingest.quarantine_path else ""
    return f"{ingest.quarantined:,} rows ({percent}) were quarantined and not used.{kept}"


def _change(ours: float, theirs: float) -> str:
    change = ours / theirs - 1 if theirs else 0.0
    if abs(change) < 0.0005:
        return "no different"
    return f"{abs(change):.1%} {'lower' if change < 0 else 'higher'}"
