"""What a batch says of itself: to the caller as JSON, to MLflow as params and metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.job import CODE
from recobatch.addresses import is_uri
from recobatch.models import source_digest
from recobatch.storage.workspace import code_fingerprint, file_digest, fingerprint
from recobatch.vocabulary import Vocabulary

if TYPE_CHECKING:
    from flows.job import Job
    from flows.outputs import Parts, Ratings, ToScore, TrainedModel
    from flows.settings.tree import Settings
    from recobatch.scoring.extension import RatingsDelta
    from recobatch.table import Published


def shaping(settings: Settings, name: str) -> dict[str, Any]:
    """Every setting that shapes a model; MLflow's params, and what its reuse hangs on."""
    tree = settings.model_dump(mode="json", include={"preset", "seed", "ingest", "split", "model", "train"})
    code = source_digest(name)
    return {"model_name": name, **tree, **({"model_code": code} if code else {})}


def inputs_fingerprint(settings: Settings, ratings: Ratings) -> str:
    """Sha256 of everything that shapes a published table: equal inputs give an equal table."""
    return fingerprint({**_told_by(ratings), **_shaping_table(settings)})


def scored_fingerprint(settings: Settings, champion: ToScore, ratings: Ratings | None) -> str:
    """As ``inputs_fingerprint``, of a table that the registered champion makes."""
    model = {"champion": champion.mlflow_run_id, "sha256": champion.tags.get("sha256")}
    return fingerprint({**model, **(_told_by(ratings) if ratings else {}), **_shaping_table(settings)})


def _told_by(ratings: Ratings) -> dict[str, str | None]:
    titles = ratings.source.titles
    return {"ratings": ratings.report.fingerprint, "titles": file_digest(titles) if titles else None}


def _shaping_table(settings: Settings) -> dict[str, Any]:
    aside = ("data", "table", "tracking", "work", "engine", "log", "notify")
    exclude: dict[str, bool | set[str]] = {**dict.fromkeys(aside, True), "score": {"threads"}}
    models = filter(None, map(source_digest, settings.models))
    return {"settings": settings.model_dump(mode="json", exclude=exclude), "code": [code_fingerprint(CODE), *models]}


def metrics(model: TrainedModel, ratings: Ratings, parts: Parts) -> dict[str, float]:
    """The figures of a whole run, by their names in MLflow."""
    test, history = model.test, model.history
    figures = {
        "test_mse": test["mse"], "test_rmse": test["rmse"], "test_mae": test["mae"],
        "test_rows": test["n_rows"], "test_cold_rows": test["cold_rows"], "test_cold_items": test["cold_items"],
        "test_cold_users": test["cold_users"], "train_seconds": history["seconds"],
        "compile_seconds": history["compile_seconds"], "best_epoch": history["best_epoch"],
        "epochs": len(history["loss"]), "quarantined": ratings.report.quarantined,
        "ratings": ratings.report.ratings, "users": ratings.n_users, "items": ratings.n_items,
        **{f"baseline_{name}_mse": error for name, error in parts.baselines.items()},
    }  # fmt: skip
    if model.validation_mse is not None:
        figures["validation_mse"] = model.validation_mse
    return figures


def version_tags(job: Job, model: TrainedModel, ratings: Ratings) -> dict[str, str]:
    """What a version in the registry is told by."""
    return {
        "model": model.name, "batch_id": job.batch_id, "dataset": ratings.source.name,
        "dataset_fingerprint": ratings.report.fingerprint, "test_mse": f"{model.test['mse']:.6f}",
        "test_rmse": f"{model.test['rmse']:.6f}", "test_mae": f"{model.test['mae']:.6f}", **ratings.tags(),
    }  # fmt: skip


def of_training(
    job: Job, ratings: Ratings, parts: Parts, trained: Mapping[str, TrainedModel], champion: str
) -> dict[str, Any]:
    """The summary of a batch whose models are trained; its keys are told in docs/cli.md."""
    report = ratings.report
    return {
        "batch_id": job.batch_id,
        "champion": champion,
        "seconds": round(job.seconds, 3),
        "data": {
            "source": ratings.source.name, "ratings": report.ratings, "users": ratings.n_users,
            "items": ratings.n_items, "first_user": _first(ratings.folder / "users.parquet"),
            "quarantined": report.quarantined, "reasons": report.reasons,
            "quarantine_path": report.quarantine_path and str(report.quarantine_path),
            "fingerprint": report.fingerprint, **{f"{part}_rows": n for part, n in parts.sizes.items()},
        },
        "models": {name: _of_model(model) for name, model in trained.items()},
        "baselines": {name: {"test_mse": error} for name, error in parts.baselines.items()},
        "timings": _rounded(job.timings),
        "reused": list(job.reused),
    }  # fmt: skip


def _of_model(model: TrainedModel) -> dict[str, Any]:
    test, history = model.test, model.history
    return {
        "mlflow_run_id": model.run.run_id, "mlflow_url": model.run.url,
        "loss": _finite(history["loss"]), "val_loss": _finite(history["val_loss"]),
        "best_epoch": history["best_epoch"], "validation_mse": model.validation_mse,
        "test_mse": test["mse"], "test_rmse": test["rmse"], "test_mae": test["mae"],
        "cold_rows": test["cold_rows"], "cold_items": test["cold_items"], "cold_users": test["cold_users"],
        "train_seconds": history["seconds"], "compile_seconds": history["compile_seconds"],
    }  # fmt: skip


def of_table(job: Job, snapshot: Published) -> dict[str, Any]:
    """The published table, as the summary tells it."""
    path = job.settings.table.path
    fixed = f"{snapshot.location}/table/model={snapshot.champion}"  # an object store has no link that moves along
    return {
        "path": path, "champion_path": fixed if is_uri(path) else f"{path}/current/champion",
        "version": snapshot.version, "rows": snapshot.rows,
        "score_seconds": round(job.timings.get("score", 0.0), 3),
        "publish_seconds": round(job.timings.get("publish", 0.0), 3),
    }  # fmt: skip


def of_scoring(job: Job, model: ToScore, news: RatingsDelta | None) -> dict[str, Any]:
    """The summary of a batch that only scores.

    ``data.news`` is null where no ratings were read; ``report`` is that of the champion's training, where it is here.
    """
    loaded = model.files.load()
    data = {
        "ratings": len(loaded.rated.item_index), "users": len(loaded.users), "items": len(loaded.items),
        "first_user": loaded.users.ids[0].as_py(),
        "news": news and {**news.to_dict(), "told": str(news)},
    }  # fmt: skip
    told: dict[str, Any] = {
        "mlflow_run_id": model.mlflow_run_id, "mlflow_url": job.tracker.run_url(model.mlflow_run_id)
    }  # fmt: skip
    if model.test_mse is not None:
        told |= {"test_mse": model.test_mse, "test_rmse": math.sqrt(model.test_mse)}
    return {
        "batch_id": job.batch_id, "champion": model.name, "seconds": round(job.seconds, 3),
        "data": data, "models": {model.name: told}, "timings": _rounded(job.timings), "reused": list(job.reused),
        **of_report(job, model.tags.get("batch_id", "")),
    }  # fmt: skip


def of_report(job: Job, batch_id: str) -> dict[str, str]:
    """Where the report of a batch lies; nothing if it is not here."""
    report = job.report_path(batch_id)
    return {"report": str(report.relative_to(job.root))} if report.exists() else {}


def _first(vocabulary: Path) -> int | str:
    """An id to show queries with."""
    raw_id: int | str = Vocabulary.load(vocabulary).ids[0].as_py()
    return raw_id


def _finite(values: list[float]) -> list[float | None]:
    """JSON has no NaN."""
    return [value if math.isfinite(value) else None for value in values]


def _rounded(timings: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(seconds, 3) for stage, seconds in timings.items()}


def closed(job: Job, result: Mapping[str, Any]) -> dict[str, Any]:
    """The summary with the seconds and stages up to now."""
    return {
        **result, "seconds": round(job.seconds, 3), "timings": _rounded(job.timings), "reused": list(job.reused),
        "delivered_runs": job.tracker.delivered_runs,
    }  # fmt: skip
