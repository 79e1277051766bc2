"""The best unseen items: of every user as a table, or of one user by a query."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recobatch.blas import one_blas_thread
from recobatch.errors import BadInput, BadTable
from recobatch.intervals import Calibration
from recobatch.model_folder import LoadedModel, ModelFolder, load_interest
from recobatch.scoring.published_folder import current_folder, model_folder
from recobatch.scoring.ranker import RankBy, Ranked, Ranker
from recobatch.scoring.shards import ShardReport, described, open_shard
from recobatch.scoring.uncertainty import current_calibration, pair_bounds
from recobatch.scoring.user_rows import Part, rows_of_user

USERS_PER_GROUP = 2048
"""Users in a row group."""
BOUNDS = ("lower_90", "upper_90")
"""Columns of the best items, missing in tables of earlier releases."""


def top_shard(
    model: ModelFolder,
    users: slice,
    out: Path,
    *,
    k: int = 100,
    metadata: Mapping[str, str],
    interest: Path | None = None,
    rank_by: RankBy = "prediction",
) -> ShardReport:
    """Rank the items that each user of a range has not rated and write the best as one parquet file.

    Args:
        model: Files of one rating model.
        users: Range of user indices, not empty, within the model.
        out: The parquet file to write, with the columns of ``top_schema``; sorted by user, then rank. Equal scores rank
            in the order of the items. A user with fewer than ``k`` unseen items has that many rows.
        k: Items per user, at least 1.
        metadata: Key-value metadata of the file: version, model, MLflow run.
        interest: File written by ``InterestModel.save``, over the same users and items.
        rank_by: What the items are ranked by; see ``Ranker``.

    Raises:
        BadTable: If the files are damaged or of different models, or if there is no interest model to rank by.
        IndexError: If the range leaves the model.
        RecobatchError: If the file cannot be written.
    """
    loaded = model.load()
    loaded.check_range(users)
    factors = load_interest(interest).factors if interest is not None and rank_by != "prediction" else None
    ranker, calibration = Ranker.of(loaded.model, factors, rank_by), current_calibration(model, loaded)
    schema = top_schema(loaded.users.ids.type, loaded.items.ids.type).with_metadata(dict(metadata))
    with one_blas_thread(), open_shard(out, schema, _ENCODING) as shard:
        for start in range(users.start, users.stop, USERS_PER_GROUP):
            group = slice(start, min(start + USERS_PER_GROUP, users.stop))
            table = _as_table(ranker.best(group, loaded.rated, k), loaded, calibration, schema)
            if table.num_rows:
                shard.stats.add(table["prediction"].to_numpy())
            shard.write(table, row_group_size=max(1, table.num_rows))
    return shard.report(users)


def top_schema(user_type: pa.DataType, item_type: pa.DataType) -> pa.Schema:
    """Columns of the best items, each with its meaning; none is nullable."""
    return pa.schema([
        described("user_id", user_type, "the user's id as it was in the ratings"),
        described("rank", pa.int32(), "place among the user's unseen items, from 1, the best"),
        described("item_id", item_type, "the item's id as it was in the ratings"),
        described("score", pa.float32(), "what the list is ranked by, comparable within a user only"),
        described("prediction", pa.float32(), "as in the table of all predictions, to the bit"),
        described("lower_90", pa.float32(), "lower end of the interval that holds 90 % of such ratings"),
        described("upper_90", pa.float32(), "upper end of the interval"),
    ])  # fmt: skip


_ENCODING = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["user_id", "item_id"],  # ranks are 1 to k again and again, which zstd alone makes as small
    "column_encoding": dict.fromkeys(("score", "prediction", *BOUNDS), "BYTE_STREAM_SPLIT"),
    "write_statistics": ["user_id"],
}


def _as_table(ranked: Ranked, loaded: LoadedModel, calibration: Calibration | None, schema: pa.Schema) -> pa.Table:
    bounds = pair_bounds(calibration, loaded, ranked.user_index, ranked.item_index, ranked.prediction)
    columns = [
        loaded.users.decode(ranked.user_index), pa.array(ranked.rank), loaded.items.decode(ranked.item_index),
        pa.array(ranked.score), pa.array(ranked.prediction), *map(pa.array, bounds),
    ]  # fmt: skip
    return pa.table(columns, schema=schema)


def best_items(
    table_root: Path, user_id: int | str, *, k: int = 10, unseen_only: bool = True, model: str | None = None
) -> pa.Table:
    """Look up a user's best items in the published table; reads only the row groups of the user.

    Args:
        table_root: Folder of the prediction table.
        user_id: Raw id; text is read as a number where the table's ids are numbers.
        k: At most how many items.
        unseen_only: Whether to leave out items that the user rated. The order is then that of the snapshot's best
            items, where it has them, followed by the others in the order of the predictions, as all are if False.
        model: Name of the model; by default the champion.

    Returns:
        ``rank`` (from 1), ``item_id``, ``title`` (where the snapshot has titles), ``prediction``,
        ``lower_90`` and ``upper_90`` (where the published best items have them, null for other items), ``rated``; at
        most ``k`` rows, best first, equal predictions in the order of the items.

    Raises:
        BadInput: If the table does not have the user; the message names some that it has.
        BadTable: If there is no published table, or not that model.
    """
    snapshot, champion = current_folder(table_root)
    folder = model_folder(snapshot, model or champion)
    titles, has_pairs = snapshot / "titles.parquet", folder.parent.name == "table"
    return best_of_parts(
        sorted(folder.glob("*.parquet")) if has_pairs else (), user_id, place=str(folder),
        titles=titles if titles.is_file() else None, k=k, unseen_only=unseen_only,
        top=sorted((snapshot / "top" / folder.name).glob("*.parquet")),
    )  # fmt: skip


def best_of_parts(
    parts: Sequence[Part],
    user_id: int | str,
    *,
    place: str,
    titles: Part | None,
    k: int,
    unseen_only: bool,
    top: Sequence[Part] = (),
) -> pa.Table:
    """Look up a user's best items in the files of one model; see ``best_items``.

    Args:
        parts: The parquet files of all predictions, by first user; none where only lists were published.
        user_id: Raw id.
        place: Their location, for messages.
        titles: File with ``item_id`` and ``title``, if there is one.
        k: At most how many items.
        unseen_only: Whether to leave out items that the user rated.
        top: The parquet files of the best unseen items, by first user, if there are any.
    """
    try:
        ranked = _ranked(top, user_id) if unseen_only and top else None
        if not parts and top:
            ranked = _listed(ranked, top, user_id, unseen_only=unseen_only, place=place)
        elif ranked is None or ranked.num_rows < k:
            ranked = _all_ranked(rows_of_user(parts, user_id, place=place), ranked, k, unseen_only=unseen_only)
    except (OSError, pa.ArrowException) as error:
        raise BadTable(
            f"{place}: found a file that cannot be read ({error}), expected parquet as it was published; "
            f"see recobatch verify, then recobatch rollback"
        ) from error
    rows = ranked.slice(0, k)
    rows = rows.add_column(0, "rank", pa.arange(1, rows.num_rows + 1).cast(pa.int32()))
    return _with_titles(rows, titles) if titles is not None else rows


def _ranked(top: Sequence[Part], user_id: int | str) -> pa.Table | None:
    """A user's published best items, in their order; None if there are none."""
    try:
        rows = rows_of_user(top, user_id, place="top")
    except BadInput:
        return None  # unknown, or has rated everything: the table of all predictions decides
    rows = rows.select(["item_id", "prediction", *(name for name in BOUNDS if name in rows.column_names)])
    return rows.append_column("rated", pa.nulls(rows.num_rows, pa.bool_()).fill_null(False))


def _listed(
    ranked: pa.Table | None, top: Sequence[Part], user_id: int | str, *, unseen_only: bool, place: str
) -> pa.Table:
    """A user's list where nothing else was published."""
    if not unseen_only:
        raise BadInput(
            f"{place}: found lists of unseen items alone (score.pairs=top), expected the predictions of every pair "
            f"to show all items; leave out --all, or publish with score.pairs=all"
        )
    return rows_of_user(top, user_id, place=place) if ranked is None else ranked  # which says that the user is unknown


def _all_ranked(rows: pa.Table, ranked: pa.Table | None, k: int, *, unseen_only: bool) -> pa.Table:
    """A user's predictions from the highest, after the items that are ranked already."""
    if unseen_only:
        rows = rows.filter(pc.invert(rows["rated"]))
    best = pc.sort_indices(rows, sort_keys=[("prediction", "descending"), ("item_id", "ascending")])
    rows = rows.select(["item_id", "prediction", "rated"])
    if ranked is None:
        return rows.take(best[:k])
    known = set(ranked["item_id"].to_pylist())
    rows = rows.take(best)
    rest = rows.filter(pa.array([item not in known for item in rows["item_id"].to_pylist()], pa.bool_()))
    for name in ranked.column_names[2:-1]:
        rest = rest.add_column(rest.num_columns - 1, name, pa.nulls(rest.num_rows, pa.float32()))
    schema = pa.schema([field.with_nullable(True) for field in ranked.schema])
    return pa.concat_tables([ranked.cast(schema), rest.cast(schema)])


def _with_titles(rows: pa.Table, file: Part) -> pa.Table:
    titles = pq.ParquetFile(file).read(use_threads=False).combine_chunks()
    unknown = pa.nulls(1, titles.schema.field("title").type)
    # As texts: the file with the titles may have ids of another type. Item by item, because pa.array() and value sets
    # would import pandas, which costs more than the whole look-up.
    known = titles["item_id"].cast(pa.string())
    places = [pc.index(known, item.cast(pa.string())).as_py() for item in rows["item_id"]]
    found = [titles["title"].chunk(0).slice(place, 1) if place >= 0 else unknown for place in places]
    return rows.add_column(2, "title", pa.concat_arrays([*found, unknown]).slice(0, len(found)))
