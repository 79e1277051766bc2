"""Which settings and inputs shape a model, its predictions and the published table."""

from collections.abc import Mapping
from typing import Any

from flows import CODE
from flows.outputs import Ratings, ToScore
from flows.settings.tree import INTEREST, Settings
from recobatch.models import find_model, source_digest
from recobatch.storage.fingerprints import code_fingerprint, file_digest, fingerprint, published_fingerprint

_NOT_SHAPING = ("data", "table", "tracking", "work", "engine", "log", "notify")
"""Settings that the published predictions do not depend on."""
_SAMPLED = {"bayesian_factors", "sweeps", "chains"}
"""Settings of the section ``model`` that only ``bayesian_mf`` reads; of the others it reads ``n_factors`` alone."""


def shaping_settings(settings: Settings, name: str) -> dict[str, Any]:
    """Every setting that shapes a model: MLflow's params, and part of the key under which it is reused."""
    spec = find_model(name)
    tree = settings.model_dump(mode="json", include={"preset", "seed", "ingest", "split"})
    if spec.is_keras:
        model = settings.model.for_keras().model_dump(mode="json", exclude=_SAMPLED)
        tree |= {"model": model, "train": settings.train.model_dump(mode="json")}
    else:
        tree |= {"model": settings.model.model_dump(mode="json", include=_SAMPLED | {"n_factors"})}
        tree |= {"trained_on": settings.champion.trained_on}
    code = source_digest(name)
    return {"model_name": name, **tree, **({"model_code": code} if code else {})}


def interest_settings(settings: Settings) -> dict[str, Any]:
    """Every setting that shapes the model of interest, likewise."""
    shaping = {"preset", "seed", "ingest", "split", "interest", "evaluation"}
    tree = settings.model_dump(mode="json", include=shaping)
    return {"model_name": INTEREST, "stand_in": "bayesian_mf" if has_bayesian(settings) else "bias", **tree}


def has_bayesian(settings: Settings) -> bool:
    """Whether a model that is not a Keras model is among those trained: the way to rank is then chosen with it."""
    return any(not find_model(name).is_keras for name in settings.models)


def inputs_fingerprint(settings: Settings, ratings: Ratings) -> str:
    """Of everything that shapes a table whose models are trained from the ratings."""
    return published_fingerprint(_shaping_table(settings), code_fingerprint(CODE), ratings=_identity(ratings))


def scored_fingerprint(settings: Settings, champion: str, runs: Mapping[str, str], ratings: Ratings | None) -> str:
    """Of everything that shapes a table that registered models make.

    A batch that trains them makes the same table, and keeps this fingerprint too.

    Args:
        settings: Of the run; those that only training reads do not count.
        champion: Name of the champion.
        runs: MLflow run by model.
        ratings: The current ratings, where they were read.
    """
    shaping = {"score": settings.score.model_dump(mode="json", exclude={"threads"}), "top": settings.top.model_dump()}
    read = None if ratings is None else {"ratings": ratings.report.fingerprint, "titles": _titles(ratings)}
    models = {"champion": champion, "runs": dict(runs)}
    return published_fingerprint(shaping, code_fingerprint(CODE), ratings=read, champion=models)


def predictions_fingerprint(settings: Settings, models: Mapping[str, ToScore]) -> str:
    """Of everything that the files of predictions depend on, their names' version apart."""
    return fingerprint({
        "models": {
            name: {"mlflow_run_id": model.mlflow_run_id, "rank_by": model.rank_by, **model.files.fingerprints}
            for name, model in models.items()
        },
        "top": settings.top.k, "score": settings.score.model_dump(exclude={"threads"}),
        "code": code_fingerprint(CODE),
    })  # fmt: skip


def _identity(ratings: Ratings) -> dict[str, str | None]:
    side = {"side_tables": ratings.side.key} if ratings.side.key else {}
    return {"ratings": ratings.report.fingerprint, "titles": _titles(ratings), **side}


def _titles(ratings: Ratings) -> str | None:
    return file_digest(ratings.source.titles) if ratings.source.titles else None


def _shaping_table(settings: Settings) -> dict[str, Any]:
    exclude: dict[str, bool | set[str]] = {
        **dict.fromkeys(_NOT_SHAPING, True), "score": {"threads"}, "ingest": {"max_bytes"}
    }  # fmt: skip
    return {**settings.model_dump(mode="json", exclude=exclude), **_model_code(settings)}


def _model_code(settings: Settings) -> dict[str, Any]:
    """Digests of models given by import path, which the package's own code does not cover."""
    digests = {name: code for name in settings.model_names if (code := source_digest(name))}
    return {"model_code": digests} if digests else {}
