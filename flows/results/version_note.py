"""What a registered model's page in MLflow says of a version: figures of both kinds, data set, table."""

from collections.abc import Iterator

from flows.outputs import TrainedBatch, TrainedModel
from flows.results.rankings import headline, list_length


def version_note(model: TrainedModel, batch: TrainedBatch, batch_id: str, table: str | None) -> str:
    """The description of a version, as Markdown.

    Args:
        model: Which was registered.
        batch: Its batch.
        batch_id: Name of the batch, and of the table's version.
        table: Folder or address of the table that holds its predictions; None where it is in none.
    """
    role = "the champion" if model.name == batch.champion else "a model"
    rows = dict(_rows(model, batch))
    if table is not None:
        rows["Table"] = f"`{table}`, version `{batch_id}`"
    lines = [f"`{model.name}`, {role} of batch `{batch_id}`.", "", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])


def _rows(model: TrainedModel, batch: TrainedBatch) -> Iterator[tuple[str, str]]:
    test, data = model.report.test, batch.ratings.info()
    yield "Data set", f"{data.name}: {data.n_ratings:,} ratings, {data.n_users:,} users, {data.n_items:,} items"
    yield "Test error", f"MSE {test.mse:.4f}, RMSE {test.rmse:.4f}, MAE {test.mae:.4f}"
    figures = batch.lists.rankings(model.name)
    ndcg, recall = headline(figures)
    if ndcg is not None and recall is not None:
        length, way = list_length([figures]), batch.lists.rank_by[model.name]
        yield "Lists", f"NDCG@{length} {ndcg:.4f}, recall@{length} {recall:.4f}, ranked by {way}"
    if model.calibrated is not None:
        quality = model.calibrated.quality
        yield "90 % intervals", f"hold {quality.coverage:.1%} of the test ratings, {quality.mean_width:.2f} wide"
