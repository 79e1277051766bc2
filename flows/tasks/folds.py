"""Train and measure every model on every fold; each is a stage of its own, so that a rerun repeats none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.job import Job, Services
from flows.outputs import Ratings
from flows.tasks.fingerprints import has_bayesian, interest_settings, shaping_settings
from flows.tasks.interest import relevant_rating
from recobatch.evaluation.baselines import bias_model, mean_model
from recobatch.evaluation.fold_errors import fold_errors
from recobatch.evaluation.fold_results import BASELINES, FoldFigures, figures_of
from recobatch.evaluation.folds import Fold, FoldOptions, make_folds
from recobatch.evaluation.rankings import Rankings
from recobatch.factors import FactorModel
from recobatch.interactions import Split
from recobatch.interest import train_interest
from recobatch.model_folder import INTEREST_FILE, load_interest
from recobatch.models import find_model
from recobatch.scoring.list_quality import measure_lists, way_to_rank
from recobatch.scoring.ranker import RankBy
from recobatch.storage.workspace import StageOutput
from recobatch.training.fit import TrainingInputs
from recobatch.training.fold_fit import fit_fold

CALIBRATED_ON = 0.125
"""Share of the training ratings of a fold that intervals are calibrated on, where the settings hold out none."""


@dataclass(frozen=True)
class FoldPlan:
    """The folds of an evaluation, in order."""

    options: FoldOptions
    """With the method that was chosen."""
    folds: tuple[Fold, ...]
    shaped_by: Mapping[str, Any]
    """What the folds depend on."""


@dataclass(frozen=True, eq=False)
class _FoldContext:
    """One fold, and what its models are measured with."""

    job: Job
    ratings: Ratings
    fold: Fold
    split: Split
    shaped_by: Mapping[str, Any]
    """What everything on the fold depends on."""
    relevant: float
    interest: Path | None = None
    """File of the model of interest, trained on the training part; None where none is wanted."""
    rank_by: RankBy = "prediction"
    """What ranked ratings held out from the training part best."""

    @property
    def rating_range(self) -> tuple[float, float]:
        return self.ratings.range_of(self.job.settings.ingest)

    def stage(self, name: str, shaped_by: Mapping[str, Any], build: Callable[[Path], Mapping[str, Any]]) -> StageOutput:
        return self.job.work.stage(f"fold-{name}", {**self.shaped_by, **shaped_by}, build)


@task(name="make folds", cache_policy=NO_CACHE)
def plan_folds(services: Services, ratings: Ratings, options: FoldOptions) -> FoldPlan:
    """Divide the ratings as often as the options say."""
    seed = services.settings.seed
    with services.stages.timed("make folds"):
        known = ratings.interactions()
        options = options.for_ratings(known)
        folds = make_folds(known, options, seed=seed)
    services.stages.log("make folds", f"{len(folds)} {options.method}")
    shaped_by = {"encoded": ratings.key, "folds": options.model_dump(mode="json"), "seed": seed}
    return FoldPlan(options, tuple(folds), shaped_by)


def measure_fold(job: Job, ratings: Ratings, plan: FoldPlan, fold: Fold) -> FoldFigures:
    """Train every model on the training part of a fold, and measure it on the test part."""
    context = _with_interest(
        _FoldContext(
            job, ratings, fold, fold.split(ratings.interactions()), {**plan.shaped_by, "fold": fold.name},
            relevant_rating(job.settings, ratings),
        )
    )  # fmt: skip
    figures = {name: dict(_measure_model(context, name)) for name in job.settings.model_names}
    return FoldFigures.of(fold, context.split, figures | _measure_baselines(context))


def _with_interest(context: _FoldContext) -> _FoldContext:
    if context.job.settings.interest.method == "none":
        return context
    done = _train_interest.with_options(name=f"{context.fold.name}: interest")(context)
    return replace(context, interest=done.path / INTEREST_FILE, rank_by=done.report["rank_by"])


@task(name="fold: interest", cache_policy=NO_CACHE)
def _train_interest(context: _FoldContext) -> StageOutput:
    settings, stages, stage = context.job.settings, context.job.stages, f"{context.fold.name}: interest"
    low, high = context.rating_range

    def build(out: Path) -> dict[str, Any]:
        model, report = train_interest(
            context.split.train, min_rating=low, max_rating=high, relevant=context.relevant, options=settings.interest,
            k=settings.evaluation.k, seed=settings.seed, has_bayesian=has_bayesian(settings),
        )  # fmt: skip
        model.save(out / INTEREST_FILE)
        return report.to_dict()

    with stages.timed(stage):
        done = context.stage("interest", {"settings": interest_settings(settings)}, build)
    stages.log(stage, done.report["chosen"], reused=done.reused)
    return done


def _measure_model(context: _FoldContext, name: str) -> Mapping[str, float | None]:
    figures: Mapping[str, float | None] = _model_task.with_options(name=f"{context.fold.name}: {name}")(context, name)
    return figures


@task(name="fold: model", cache_policy=NO_CACHE)
def _model_task(context: _FoldContext, name: str) -> dict[str, float | None]:
    """Train and measure one model."""
    job, stage, spec = context.job, f"{context.fold.name}: {name}", find_model(name)
    fraction = job.settings.champion.validation_fraction or CALIBRATED_ON
    shaped_by: dict[str, Any] = {
        "settings": shaping_settings(job.settings, name), "interest": interest_settings(job.settings),
        "fraction": fraction, "rank_by": job.settings.top.rank_by,
        "side": context.ratings.side.key if spec.uses_features else "",
    }  # fmt: skip
    with job.stages.timed(stage) as progress:

        def on_epoch(epoch: int, loss: float, val_loss: float, **figures: float) -> None:
            progress.update(done=epoch, note=f"{spec.step} {epoch}: loss {loss:.4f}")

        def build(_out: Path) -> dict[str, float | None]:
            fitted = fit_fold(name, _inputs(context), fraction=fraction, on_epoch=on_epoch)
            return figures_of(
                fitted.errors, _rankings(context, name, fitted.factors), fitted.intervals, fitted.seconds
            )  # fmt: skip

        done = context.stage(name, shaped_by, build)
    figures: dict[str, float | None] = done.report
    job.stages.log(stage, f"test MSE {figures['test_mse']:.4f}", reused=done.reused)
    return figures


def _inputs(context: _FoldContext) -> TrainingInputs:
    settings, side = context.job.settings, context.ratings.side
    return TrainingInputs(
        context.ratings.encoded, context.split, context.rating_range, settings.model, settings.train, settings.seed,
        side.load("users"), side.load("items"),
    )  # fmt: skip


def _rankings(context: _FoldContext, name: str, factors: FactorModel) -> Rankings | None:
    """Of a model's lists as they would be published; None if no test rating is relevant."""
    settings = context.job.settings
    interest = None if context.interest is None else load_interest(context.interest).factors
    way = way_to_rank(settings.top.rank_by, context.rank_by, factors, has_interest=interest is not None)
    lists = measure_lists(
        context.split, {name: factors}, interest, {name: way}, k=settings.evaluation.k, relevant=context.relevant
    )
    return lists.models[name][way] if name in lists.models else None


def _measure_baselines(context: _FoldContext) -> dict[str, dict[str, float | None]]:
    """Errors of the means, and the lists of the bias means and of popularity."""
    split, settings = context.split, context.job.settings

    def build(_out: Path) -> dict[str, Any]:
        low, high = context.rating_range
        errors = {
            "global_mean": fold_errors(mean_model(split.train), split),
            "bias": fold_errors(bias_model(split.train, min_rating=low, max_rating=high), split),
        }
        lists = measure_lists(split, {}, None, {}, k=settings.evaluation.k, relevant=context.relevant).baselines
        return {name: figures_of(errors.get(name), lists.get(name)) for name in BASELINES}

    shaped_by = {"evaluation": settings.evaluation.model_dump(mode="json"), "range": list(context.rating_range)}
    with context.job.stages.timed(f"{context.fold.name}: baselines"):
        return context.stage("baselines", shaped_by, build).report
