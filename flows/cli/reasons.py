"""Look-ups that need the model behind the table: similar items, and reasons for a list."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.cli.output import echo, echo_json
from recobatch.api import Recommender
from recobatch.bayesian import BayesianState
from recobatch.encode import encode
from recobatch.errors import BadInput
from recobatch.ingest import ingest
from recobatch.interactions import EncodedInteractions
from recobatch.model_folder import LoadedModel, load_interest
from recobatch.reading import ReadOptions
from recobatch.sources import datasets
from recobatch.table import open_table
from recobatch.tracking import Tracker
from recobatch.vocabulary import Vocabulary

if TYPE_CHECKING:
    from flows.settings.tree import Settings
    from recobatch.table import Published

_REASONS = 3


def print_similar(settings: "Settings", item_id: str, *, k: int, as_json: bool) -> None:
    """Print the items nearest to one, by the model of the published table."""
    model = published_model(settings, open_table(settings.table.path).snapshot())
    rows = model.similar_items(item_id, k).to_pylist()
    if as_json:
        own = model.items[0].as_py()
        echo_json({"item_id": type(own)(item_id), "items": rows})
        return
    for place, row in enumerate(rows, 1):
        title = f"  {row['title']}" if row.get("title") else ""
        echo(f"{place:>4}  {row['similarity']:.3f}  {row['item_id']}{title}")


def reasons_for(
    settings: "Settings", user_id: str, items: Sequence[int | str]
) -> dict[int | str, list[dict[str, Any]]]:
    """Item → the user's own ratings that speak most for it.

    Args:
        settings: Name the table, MLflow and how ratings are read.
        user_id: Id of a user of the table.
        items: Ids of items of the table.

    Raises:
        BadInput: If the model does not know the user.
    """
    model = published_model(settings, open_table(settings.table.path).snapshot())
    known = [item for item in items if model.loaded.items.find(pa.array([item], model.items.type))[0] >= 0]
    reasons: dict[int | str, list[dict[str, Any]]] = {item: [] for item in items}
    for row in model.why(user_id, known, _REASONS).to_pylist():
        reasons[row["item_id"]].append({
            "item_id": row["because"], "title": row.get("because_title"), "rating": _known(row["rating"]),
            "interest": row["interest"], "prediction": row["prediction"],
        })  # fmt: skip
    return reasons


def reason_text(reasons: Sequence[Mapping[str, Any]]) -> str:
    """``Alien (5), Brazil (4)``; empty without reasons."""
    return ", ".join(
        f"{reason['title'] or reason['item_id']}" + ("" if reason["rating"] is None else f" ({reason['rating']:g})")
        for reason in reasons
    )


def published_model(settings: "Settings", snapshot: "Published") -> Recommender:
    """The registered model behind a snapshot's champion, with the ratings as they are now.

    Where the ratings cannot be read any more, those of its training count as the highest, and are NaN in ``ratings``.
    """
    version = Tracker(settings.tracking, Path.cwd()).version_of(
        snapshot.manifest.models[snapshot.champion].mlflow_run_id
    )
    with tempfile.TemporaryDirectory(prefix="recobatch-") as folder:
        files = version.download(Path(folder))
        loaded = files.load()
        interest = None if files.interest is None else load_interest(files.interest)
        titles = None if snapshot.titles is None else pq.read_table(snapshot.titles)
        return Recommender(
            snapshot.champion, loaded, _ratings(settings, version.tags, loaded, Path(folder)), interest, "prediction",
            BayesianState.load(files.state) if files.state.exists() else None, titles, {},
        )  # fmt: skip


def _ratings(settings: "Settings", tags: Mapping[str, str], loaded: LoadedModel, folder: Path) -> EncodedInteractions:
    """The ratings that the model was trained with, as they are now, by its own indices."""
    try:
        source = datasets.resolve(tags["ratings"], cache_dir=settings.data.cache.expanduser())
        layout = ReadOptions.model_validate_json(tags.get("ratings_layout", "{}"))
        report = ingest(source.uri, source.read.updated(layout), settings.ingest, folder)
    except (BadInput, KeyError):
        users, items = loaded.rated.pairs()
        unknown = np.full(len(items), np.nan, dtype=np.float32)
        return EncodedInteractions(
            users.astype(np.int32), items, unknown, np.full(len(items), -1), len(loaded.users), len(loaded.items)
        )
    encoded = encode(report.ratings_path, folder)
    rows = EncodedInteractions.load(encoded.interactions_path)
    user = loaded.users.find(Vocabulary.load(encoded.users_path).ids)[rows.user_index]
    item = loaded.items.find(Vocabulary.load(encoded.items_path).ids)[rows.item_index]
    known = (user >= 0) & (item >= 0)
    return EncodedInteractions(
        user[known].astype(np.int32), item[known].astype(np.int32), rows.rating[known], rows.timestamp[known],
        len(loaded.users), len(loaded.items),
    )  # fmt: skip


def _known(rating: float) -> float | None:
    return None if np.isnan(rating) else rating
