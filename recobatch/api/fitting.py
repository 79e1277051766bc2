"""Ratings → a recommender that knows all of them."""

import tempfile
from pathlib import Path

import numpy as np

from recobatch.api.inputs import Data, Inputs, read_inputs
from recobatch.api.recommender import Recommender
from recobatch.bayesian import BayesianState
from recobatch.errors import BadSettings
from recobatch.evaluation.rankings import EvaluationOptions, relevance_threshold
from recobatch.factors import FactorModel
from recobatch.ingest import IngestOptions
from recobatch.interactions import EncodedInteractions, Split
from recobatch.interest import InterestOptions, train_interest
from recobatch.interest_model import InterestModel
from recobatch.intervals import Calibration
from recobatch.model_folder import LoadedModel, ModelFolder
from recobatch.models.options import ModelOptions
from recobatch.models.registry import find_model
from recobatch.rated import RatedPairs
from recobatch.reading import ReadOptions
from recobatch.scoring.list_quality import way_to_rank
from recobatch.scoring.ranker import RankBy
from recobatch.training.choice import ChampionOptions
from recobatch.training.fit import TrainingInputs, fitter
from recobatch.training.held_out import calibrate_held_out
from recobatch.training.recipe import Recipe
from recobatch.vocabulary import Vocabulary

_HELD_OUT = ChampionOptions().validation_fraction
"""Share of the ratings that intervals are calibrated on, as by default for a table."""


def fit(
    ratings: Data, *, model: str = "bayesian_mf", seed: int = 0, users: Data | None = None, items: Data | None = None,
    user_column: str | int | None = None, item_column: str | int | None = None, rating_column: str | int | None = None,
    time_column: str | int | None = None, rating_range: tuple[float, float] | None = None,
    max_quarantined: float = 0.05, options: ModelOptions | None = None, recipe: Recipe | None = None,
    interest: InterestOptions | None = None, intervals: bool = True,
) -> Recommender:  # fmt: skip
    """Train a rating model, and a model of interest to rank with, on all ratings.

    Nothing is held out for a test: see ``recobatch evaluate`` for how good a model is. The ratings are checked as
    those of a file are; what is given is not changed.

    Args:
        ratings: A frame of pandas, Polars, pyarrow or anything else with the Arrow C interface; or the path, URI or
            name of a file, as on the command line. Columns such as ``userId``, ``movie_id`` and ``rating`` are found
            by name.
        model: Name of the rating model, see ``recobatch models``, or the import path of a builder.
        seed: The same ratings and options give the same model.
        users: Table of the users, for models that use one; by default one beside a ratings file.
        items: Table of the items, likewise; its titles are shown.
        user_column: Name or position of the column of user ids, where it is not found by itself.
        item_column: That of item ids.
        rating_column: That of ratings.
        time_column: That of times; an empty text reads no times.
        rating_range: Lowest and highest possible rating; by default as found.
        max_quarantined: Largest share of the rows that may be left out as invalid.
        options: Size of the rating model.
        recipe: Training of a Keras model.
        interest: Methods of the model of interest; ``InterestOptions(method="none")`` ranks by predicted rating.
        intervals: Whether to calibrate intervals, by one more, shorter training without an eighth of the ratings.

    Raises:
        BadInput: If the ratings, a side table or an option cannot be used; the message is one line.
    """
    spec = find_model(model)
    read = ReadOptions(
        user_column=user_column, item_column=item_column, rating_column=rating_column, time_column=time_column
    )
    checks = IngestOptions(rating_range=rating_range, max_quarantined=max_quarantined)
    with tempfile.TemporaryDirectory(prefix="recobatch-") as folder:
        out = Path(folder)
        given = read_inputs(ratings, read, checks, {"user": users, "item": items}, out)
        known = EncodedInteractions.load(given.encoded.interactions_path)
        low, high = rating_range or (given.report.rating_min, given.report.rating_max)
        _require_spread(known)
        nothing = known.take(np.zeros(0, dtype=np.int64))
        files = ModelFolder(out / "model")
        files.path.mkdir()
        training = TrainingInputs(
            given.encoded, Split(known, nothing), (low, high), options or ModelOptions(), recipe or Recipe(),
            seed, given.features.get("user"), given.features.get("item"),
        )  # fmt: skip
        factors = fitter(model)(spec.name, training, files, None).factors
        state = BayesianState.load(files.state) if files.state.exists() else None
        found, rank_by = _interest(
            known, factors, (low, high), interest or InterestOptions(), seed, is_bayesian=not spec.is_keras
        )
        calibration = calibrate_held_out(spec.name, training, _HELD_OUT) if intervals else None
        return _recommender(spec.name, given, known, factors, found, rank_by, state, calibration)


def _interest(
    known: EncodedInteractions, factors: FactorModel, rating_range: tuple[float, float], options: InterestOptions,
    seed: int, *,
    is_bayesian: bool,
) -> tuple[InterestModel | None, RankBy]:  # fmt: skip
    """The model of interest, and what lists are best ranked by."""
    if options.method == "none":
        return None, "prediction"
    model, report = train_interest(
        known, min_rating=rating_range[0], max_rating=rating_range[1],
        relevant=relevance_threshold(known.rating, EvaluationOptions()), options=options, seed=seed,
        has_bayesian=is_bayesian,
    )  # fmt: skip
    return model, way_to_rank("best", report.rank_by, factors, has_interest=True)


def _recommender(
    name: str, given: Inputs, known: EncodedInteractions, factors: FactorModel, interest: InterestModel | None,
    rank_by: RankBy, state: BayesianState | None, calibration: Calibration | None,
) -> Recommender:  # fmt: skip
    encoded = given.encoded
    loaded = LoadedModel(
        factors, Vocabulary.load(encoded.users_path), Vocabulary.load(encoded.items_path),
        RatedPairs.load(encoded.rated_path),
    )  # fmt: skip
    return Recommender(
        name, loaded, known, interest, rank_by, state, given.titles, dict(given.report.columns), calibration
    )  # fmt: skip


def _require_spread(known: EncodedInteractions) -> None:
    if known.n_items < 2 or known.n_users < 2:
        raise BadSettings(
            f"fit: found ratings by {known.n_users:,} users of {known.n_items:,} items, expected at least two of each; "
            f"give more ratings"
        )
