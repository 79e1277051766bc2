"""Factors × a range of users → one shard of predictions. NumPy and pyarrow only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from recobatch.blas import one_blas_thread
from recobatch.errors import BadSettings
from recobatch.factors import FactorModel
from recobatch.intervals import NoiseTerms
from recobatch.model_folder import LoadedModel, ModelFolder
from recobatch.scoring.kernel import BLOCK_USERS, ScoringKernel
from recobatch.scoring.shards import ShardFile, ShardReport, described, open_shard
from recobatch.scoring.uncertainty import current_calibration

__all__ = [
    "ScoreOptions",
    "ShardReport",
    "parquet_settings",
    "plan_shards",
    "prediction_schema",
    "score_block",
    "score_shard",
]


LEAST_SHARDS = 4
_FEWEST_USERS = 16
"""Users per write are a multiple of this number: a row group of one user is too small to compress well."""
_GROUP_ROWS, _GROUPS_PER_SHARD = 1 << 20, 32
_MANY_GROUPS = 2048
"""Of more row groups a query's reading of the metadata takes longer than its decoding of larger ones."""


class ScoreOptions(BaseModel):
    """The scored models, and the sizes of files and row groups."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    models: Literal["all", "champion"] = "all"
    """The models whose predictions are published."""
    pairs: Literal["all", "top"] = "all"
    """What is published: the prediction of every pair and the lists of best unseen items, or those lists alone."""
    unknown: Literal["leave_out", "biases"] = "leave_out"
    """Users and items of the ratings that the champion does not know, in ``score``: left out of the table, or scored
    from biases alone, as the average user or item. A ``bayesian_mf`` champion computes them from their ratings."""
    uncertainty: bool = False
    """Whether the table gets a column ``sd``, 4 bytes a row before compression; without it, the sd of a pair follows
    from ``users.parquet`` and ``items.parquet``."""
    rows_per_shard: int | None = Field(default=None, ge=1)
    """Approximate number of predictions in a parquet file. By default 33,554,432, which is 100 MB at 3 bytes a row; up
    to four times as many where a model has more than 2 · 10⁹ pairs."""
    rows_per_group: int | None = Field(default=None, ge=1)
    """Approximate number of predictions in a row group. By default 1,048,576, and up to four times as many where a
    model has more than 2 · 10⁹ pairs: a query for one user decodes one row group and reads the metadata of all, so
    fewer rows slow down queries of large tables, more rows those of small ones."""
    threads: int | None = Field(default=None, ge=1)
    """Number of shards computed in parallel on this machine; by default one per core."""

    def sizes(self, pairs: int) -> tuple[int, int]:
        """Rows of a file, and of a row group, where a model has so many pairs."""
        group = min(max(_GROUP_ROWS, pairs // _MANY_GROUPS), 4 * _GROUP_ROWS)
        return self.rows_per_shard or _GROUPS_PER_SHARD * group, self.rows_per_group or group


def plan_shards(n_users: int, n_items: int, options: ScoreOptions) -> list[slice]:
    """Divide the users into ranges of about ``rows_per_shard`` predictions.

    Args:
        n_users: Users of the model.
        n_items: Items of the model.
        options: Sizes of shards and row groups.

    Returns:
        Ranges of user indices, ascending, that together cover ``[0, n_users)`` once. Every range but the last consists
        of whole row groups. A table with fewer than ``LEAST_SHARDS`` shards of that size gets smaller shards, for
        parallelism, unless it has fewer row groups than that.
    """
    rows_per_shard, rows_per_group = options.sizes(n_users * n_items)
    step = _users_per_write(n_items, rows_per_group)
    groups = -(-n_users // step)
    per_shard = max(1, rows_per_shard // (step * max(1, n_items)))
    step *= min(per_shard, groups // LEAST_SHARDS) if groups >= LEAST_SHARDS else per_shard
    return [slice(start, min(n_users, start + step)) for start in range(0, n_users, step)]


def score_block(model: FactorModel, users: slice) -> np.ndarray:
    """Predict the ratings of a block of users for every item.

    Args:
        model: Trained factors.
        users: Range of user indices, within ``[0, model.n_users)``.

    Returns:
        Predictions in rating units, float32, shape ``(len(users), model.n_items)``. Row ``i`` belongs to user
        ``users.start + i``. The bits do not depend on the bounds of the range.

    Raises:
        IndexError: If the range leaves the table.
    """
    if not 0 <= users.start <= users.stop <= model.n_users:
        raise IndexError(f"found users {users}, expected a range within [0, {model.n_users})")
    with one_blas_thread():
        return ScoringKernel.of(model).predict(users)


def score_shard(
    model: ModelFolder, users: slice, out: Path, *, metadata: Mapping[str, str], options: ScoreOptions
) -> ShardReport:
    """Predict every item for a range of users and write the predictions as one parquet file.

    Idempotent and thread-safe: the same arguments give the same bytes, and ``out`` appears only when it is complete.
    Memory does not grow with the number of users.

    Args:
        model: Files of one model.
        users: Range of user indices, not empty, within the model.
        out: The parquet file to write; one row for every user of the range and every item, sorted by user, then item.
        metadata: Key-value metadata of the file: version, model, MLflow run.
        options: Size of a row group.

    Returns:
        Rows, bytes, digest and range of the predictions.

    Raises:
        BadTable: If the files are damaged or of different models.
        IndexError: If the range leaves the model.
        RecobatchError: If the file cannot be written.
    """
    loaded = model.load()
    loaded.check_range(users)
    noise = _noise(model, loaded) if options.uncertainty else None
    ids = loaded.users.ids.type, loaded.items.ids.type
    schema = prediction_schema(*ids, has_sd=noise is not None).with_metadata(dict(metadata))
    with one_blas_thread(), open_shard(out, schema, parquet_settings(ids[1])) as shard:
        _, rows_per_group = options.sizes(loaded.model.n_users * loaded.model.n_items)
        _write_predictions(loaded, users, shard, rows_per_group, noise)
    return shard.report(users)


def _noise(model: ModelFolder, loaded: LoadedModel) -> NoiseTerms:
    if (calibration := current_calibration(model, loaded)) is None:
        raise BadSettings(
            f"score.uncertainty: found {model.path} without a calibration, as models of earlier releases are, expected "
            f"one for the column sd; train again, or pass --set score.uncertainty=false"
        )
    return calibration.noise


def prediction_schema(user_type: pa.DataType, item_type: pa.DataType, *, has_sd: bool = False) -> pa.Schema:
    """Columns of the published table with their meanings; none is nullable."""
    sd = [described("sd", pa.float32(), "standard deviation of the rating around the prediction, in the same unit")]
    return pa.schema([
        described("user_id", user_type, "the user's id as it was in the ratings"),
        described("item_id", item_type, "the item's id as it was in the ratings"),
        described("prediction", pa.float32(), "the rating that the model expects, in the unit of the ratings"),
        described("rated", pa.bool_(), "whether the user rated the item in the ratings"),
        *(sd if has_sd else []),
    ])  # fmt: skip


def _write_predictions(
    loaded: LoadedModel, users: slice, shard: ShardFile, rows_per_group: int, noise: NoiseTerms | None
) -> None:
    kernel, n_items = ScoringKernel.of(loaded.model), loaded.model.n_items
    step = _users_per_write(n_items, rows_per_group)
    group = n_items * _users_per_group(n_items, rows_per_group) if n_items <= rows_per_group else rows_per_group
    item_column = loaded.items.ids.take(pa.array(np.tile(np.arange(n_items), min(step, users.stop - users.start))))
    for block, predicted in kernel.predict_parts(users, step):
        predictions = predicted.ravel()
        shard.stats.add(predictions)
        columns = [
            _repeated(loaded.users.ids.slice(block.start, block.stop - block.start), n_items),
            item_column.slice(0, len(predictions)),
            pa.array(predictions),
            pa.array(loaded.rated.mask(block).ravel()),
        ]
        if noise is not None:
            columns.append(pa.array(np.hypot(noise.user_sd[block, None], noise.item_sd).ravel()))
        shard.write(pa.table(columns, schema=shard.schema), row_group_size=group)


def _repeated(ids: pa.Array, times: int) -> pa.Array:
    """Each id so many times."""
    if pa.types.is_integer(ids.type):
        return pa.array(np.repeat(ids.to_numpy(), times))  # a third of the time
    return ids.take(pa.array(np.repeat(np.arange(len(ids)), times)))


def _users_per_write(n_items: int, rows_per_group: int) -> int:
    """Users per write: a row group, or a few of a table with many items."""
    per_group = _users_per_group(n_items, rows_per_group)
    return max(_FEWEST_USERS, per_group - per_group % _FEWEST_USERS)


def _users_per_group(n_items: int, rows_per_group: int) -> int:
    """Users per row group: of whole products where it holds one, since a write ends where a product does."""
    users = max(1, rows_per_group // max(1, n_items))
    return users - users % BLOCK_USERS if users >= BLOCK_USERS else users


def parquet_settings(item_type: pa.DataType) -> dict[str, object]:
    """Parquet settings, chosen by measurement.

    String ids are dictionary-encoded: DELTA_BYTE_ARRAY is smaller, but slower to write, and pyarrow cannot read it into
    a dictionary.
    """
    integers = pa.types.is_integer(item_type)
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": ["user_id"] if integers else ["user_id", "item_id"],
        "column_encoding": {"prediction": "BYTE_STREAM_SPLIT", "sd": "BYTE_STREAM_SPLIT"}
        | ({"item_id": "DELTA_BINARY_PACKED"} if integers else {}),
        # Row groups are ranges of users; statistics of the other columns prune nothing.
        "write_statistics": ["user_id"],
        # The default of 20,000 rows a page is 12 % slower and 4 % larger.
        "max_rows_per_page": 262_144,
    }
