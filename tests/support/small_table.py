"""Small inputs and small published tables, for every test that needs one."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from recobatch.factors import FactorModel, Link
from recobatch.intervals import Calibration, Intervals, NoiseTerms
from recobatch.model_folder import CALIBRATION_FILE, LoadedModel, ModelFolder
from recobatch.rated import RatedPairs
from recobatch.scoring.predictions import ScoreOptions, plan_shards, score_shard
from recobatch.scoring.ranker import RankBy
from recobatch.scoring.shards import ShardReport
from recobatch.scoring.top import top_shard
from recobatch.scoring.uncertainty import current_calibration, item_table, user_table
from recobatch.table import ModelEntry, Published, Staging, Table
from recobatch.vocabulary import Vocabulary

N_USERS, N_ITEMS = 90, 70
"""Of the table that the consumers' tests read."""


def make_model(n_users: int, n_items: int, *, n_factors: int = 5, seed: int = 1, link: Link = Link.SCALED_SIGMOID):
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(scale=0.6, size=shape).astype(np.float32)

    return FactorModel(
        normal(n_users, n_factors), normal(n_items, n_factors), normal(n_users), normal(n_items), 0.25, link, 1.0, 5.0
    )


def make_rated(n_users: int, n_items: int, *, share: float = 0.2, seed: int = 2) -> RatedPairs:
    rated = np.random.default_rng(seed).random((n_users, n_items)) < share
    indptr = np.concatenate([[0], np.cumsum(rated.sum(axis=1))]).astype(np.int64)
    return RatedPairs(indptr, np.nonzero(rated)[1].astype(np.int32), n_items)


def make_ids(n: int, *, text: bool = False) -> Vocabulary:
    return Vocabulary(pa.array([f"id-{i:07d}" for i in range(n)] if text else range(10, 10 + 3 * n, 3)))


def make_calibration(n_users: int, n_items: int, *, seed: int = 4) -> Calibration:
    """Two bands of users and three of items, with factors that differ."""
    rng = np.random.default_rng(seed)
    noise = NoiseTerms(*(rng.uniform(0.2, 1, n).astype(np.float32) for n in (n_users, n_items)))
    lower, upper = ((rng.uniform(1, 1.4, 2), rng.uniform(1, 1.4, 3)) for _ in range(2))
    intervals = Intervals(np.array([N_ITEMS / 5]), np.array([3.0, 9.0]), lower, upper, 1.0, 5.0)
    return Calibration(noise, intervals, rng.integers(0, 30, n_users), rng.integers(0, 30, n_items))


def write_inputs(
    folder: Path,
    model: FactorModel,
    *,
    rated: RatedPairs | None = None,
    users: Vocabulary | None = None,
    items: Vocabulary | None = None,
    calibration: Calibration | None = None,
) -> ModelFolder:
    folder.mkdir(parents=True, exist_ok=True)
    users, items = users or make_ids(model.n_users), items or make_ids(model.n_items)
    if calibration is not None:
        calibration.save(folder / CALIBRATION_FILE)
    return LoadedModel(model, users, items, rated or make_rated(model.n_users, model.n_items)).save(folder)


def score_into(
    staging: Staging,
    name: str,
    inputs: ModelFolder,
    *,
    options: ScoreOptions | None = None,
    top: int = 0,
    interest: Path | None = None,
    rank_by: RankBy = "prediction",
) -> ModelEntry:
    """Score every pair of a model in one thread."""
    options, loaded = options or ScoreOptions(), inputs.load()
    metadata = {"version": staging.version, "model": name, "mlflow_run_id": f"run-of-{name}"}
    plan = plan_shards(loaded.model.n_users, loaded.model.n_items, options)
    shards = tuple(
        _once(staging, score_shard, inputs, users, staging.shard_path(name, n), metadata=metadata, options=options)
        for n, users in enumerate(plan)
    )
    everyone = slice(0, loaded.model.n_users)
    ranking = {"k": top, "metadata": metadata, "interest": interest, "rank_by": rank_by}
    tops = [_once(staging, top_shard, inputs, everyone, staging.top_path(name, 0), **ranking)] if top else []
    return ModelEntry(
        name, f"run-of-{name}", loaded.model.fingerprint, loaded.users.fingerprint, loaded.items.fingerprint,
        shards, tuple(tops),
    )  # fmt: skip


def _once(staging: Staging, write: Callable[..., ShardReport], inputs, users, out: Path, **options) -> ShardReport:
    return staging.files.once(out, lambda path: write(inputs, users, path, **options))[0]


def publish(
    table: Table,
    version: str,
    inputs: ModelFolder,
    *,
    names: Sequence[str] = ("plain",),
    options: ScoreOptions | None = None,
    top: int = 0,
    interest: Path | None = None,
    rank_by: RankBy = "prediction",
    titles: pa.Table | None = None,
    keep: int = 3,
    iceberg: bool = False,
) -> Published:
    """One whole batch as the flows do it: lock, clean, stage or resume, score, publish, retain."""
    loaded = inputs.load()
    calibration = current_calibration(inputs, loaded)
    with table.lock(holder=f"batch of {version}"):
        table.clean(keep_unfinished=True)
        key = f"{version} of {loaded.model.fingerprint}"
        staging = table.resume(key) or table.stage(version, shaped_by=key)
        table.clean(keep=staging)
        ranking = {"top": top, "interest": interest, "rank_by": rank_by}
        entries = {name: score_into(staging, name, inputs, options=options, **ranking) for name in names}
        snapshot = staging.publish(
            entries,
            champion=names[-1],
            expected_rows=loaded.model.n_users * loaded.model.n_items,
            extra={"batch_id": version},
            titles=titles,
            users=user_table(loaded, calibration),
            items=item_table(loaded, calibration, titles),
            iceberg=iceberg,
        )
        table.retain(keep)
    return snapshot
