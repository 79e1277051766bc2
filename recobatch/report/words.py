"""The figures of a batch in plain words."""

from collections.abc import Mapping

import numpy as np

from recobatch.report.evaluation_summary import EvaluationSummary, GroupErrors
from recobatch.report.inputs import ModelResult, ReportInputs

BASELINE_NAMES: Mapping[str, str] = {"global_mean": "the mean rating", "bias": "user and item means"}
"""What people call what a model has to beat."""


def baseline_name(name: str) -> str:
    return BASELINE_NAMES.get(name, name.replace("_", " "))


def champion_of(inputs: ReportInputs) -> ModelResult:
    return next(model for model in inputs.models if model.name == inputs.champion)


def ranked(inputs: ReportInputs) -> list[ModelResult]:
    """The champion, then the others by error."""
    return sorted(inputs.models, key=lambda model: (model.name != inputs.champion, model.test_mse))


def is_sound(model: ModelResult) -> bool:
    """Whether all its predictions are numbers."""
    return bool(np.isfinite(model.test_prediction).all())


def headline(inputs: ReportInputs) -> str:
    champion = champion_of(inputs)
    if not is_sound(champion):
        return f"{champion.name} failed: not all of its predictions are numbers"
    return f"{champion.name} predicts a rating to within {champion.test_mae:.2f} on average"


def verdict(inputs: ReportInputs) -> str:
    """How the champion compares with everything it was measured against."""
    champion = champion_of(inputs)
    if not is_sound(champion):
        return "Its error cannot be measured; do not use it."
    rivals = {model.name: model.test_mse for model in ranked(inputs)[1:] if is_sound(model)}
    rivals |= {baseline_name(name): mse for name, mse in inputs.baselines.items()}
    compared = [f"{_percent(champion.test_mse, mse)} than {name}" for name, mse in rivals.items()]
    if not compared:
        return f"Its squared error on {inputs.data.n_test:,} ratings it never saw is {champion.test_mse:.3f}."
    return f"Its squared error on {inputs.data.n_test:,} ratings it never saw is {_enumerate(compared)}."


def warnings(inputs: ReportInputs) -> list[str]:
    """What a reader must not miss: models that lose to a baseline, a gate that refused."""
    lost = [
        f"{model.name} ({model.test_mse:.3f}) does no better than {baseline_name(name)} ({mse:.3f}), which needs no "
        f"model at all."
        for model in ranked(inputs)
        for name, mse in inputs.baselines.items()
        if is_sound(model) and not model.test_mse < mse
    ]
    failed = [f"{model.name} predicts values that are no numbers." for model in inputs.models if not is_sound(model)]
    return [*([inputs.gate] if inputs.gate else []), *failed, *lost]


def about_learning(inputs: ReportInputs) -> str:
    champion = champion_of(inputs)
    if not np.isfinite(champion.val_loss).all():
        return f"{champion.name} diverged: its loss is not finite."
    if not len(champion.val_loss):
        return "No rows were held out while training, so only the training loss is drawn."
    best = int(np.argmin(champion.val_loss)) + 1
    last = len(champion.val_loss)
    if best == last:
        return f"{champion.name} was still improving in its last epoch ({last}); more epochs may help."
    return f"{champion.name} was best in epoch {best} of {last}; later epochs overfit."


def about_calibration(inputs: ReportInputs, summary: EvaluationSummary) -> str:
    groups = summary.calibration[inputs.champion]
    gap = groups.predicted - groups.observed
    worst = int(np.abs(gap).argmax())
    return (
        f"Of {inputs.champion}'s predictions, sorted and cut into tenths, the average tenth is off by "
        f"{np.abs(gap).mean():.2f}. The largest gap: where it said {groups.predicted[worst]:.1f}, users gave "
        f"{groups.observed[worst]:.1f}."
    )


def about_distribution(inputs: ReportInputs) -> str:
    champion = champion_of(inputs)
    low, high = np.percentile(champion.test_prediction, [10, 90])
    rated_low, rated_high = np.percentile(inputs.test.rating, [10, 90])
    return (
        f"Eight of ten predictions lie between {low:.1f} and {high:.1f}; eight of ten ratings between "
        f"{rated_low:.1f} and {rated_high:.1f}. A model that is unsure stays near the middle."
    )


def about_activity(inputs: ReportInputs, summary: EvaluationSummary) -> str:
    return _extremes(inputs, summary.by_activity, "users")


def about_popularity(inputs: ReportInputs, summary: EvaluationSummary) -> str:
    text = _extremes(inputs, summary.by_popularity, "items")
    if inputs.data.cold_rows:
        text += f" {inputs.data.cold_rows:,} test rows are of users or items that training never saw."
    return text


def _extremes(inputs: ReportInputs, errors: GroupErrors, who: str) -> str:
    error = errors.rmse[inputs.champion]
    best, worst = int(error.argmin()), int(error.argmax())
    named = [f"{who} that training never saw" if label == "0" else f"{who} with {label} ratings"
             for label in errors.groups.labels]  # fmt: skip
    if best == worst:
        return f"All test rows are of {named[0]}."
    return (
        f"{inputs.champion} is most exact for {named[best]} (typical error {error[best]:.2f}) and least for "
        f"{named[worst]} ({error[worst]:.2f})."
    )


def about_quality(inputs: ReportInputs) -> str:
    quarantined = sum(inputs.data.quarantined.values())
    if not quarantined:
        return "Every row of the file was sound."
    share = quarantined / (quarantined + inputs.data.n_ratings)
    kept = f" They are kept in {inputs.data.quarantine_path}." if inputs.data.quarantine_path else ""
    percent = f"{share:.2%}" if share >= 0.0001 else "less than 0.01%"
    return f"{quarantined:,} rows ({percent}) were quarantined and not used.{kept}"


def _percent(ours: float, theirs: float) -> str:
    change = ours / theirs - 1 if theirs else 0.0
    if abs(change) < 0.0005:
        return "no different"
    return f"{abs(change):.1%} {'lower' if change < 0 else 'higher'}"


def _enumerate(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
