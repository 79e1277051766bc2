"""The sections of the page, in the order in which a product owner asks."""

from html import escape

from recobatch.report import charts, markup, words
from recobatch.report.evaluation_summary import EvaluationSummary
from recobatch.report.grouping import ItemError, item_errors
from recobatch.report.inputs import ReportInputs
from recobatch.table import queries


def opening(inputs: ReportInputs) -> str:
    champion = words.champion_of(inputs)
    published = sum(inputs.table.rows.values()) if inputs.table else 0
    return "".join([
        markup.paragraph(f"recobatch · batch {inputs.batch_id} · {inputs.created}", "eyebrow"),
        f"<h1>{escape(words.headline(inputs))}</h1>",
        markup.paragraph(words.verdict(inputs), "lede"),
        *(markup.paragraph(text, "warning") for text in words.warnings(inputs)),
        markup.tiles({
            "ratings learned from": f"{inputs.data.n_train:,}",
            "average miss (MAE)": f"{champion.test_mae:.3f}",
            "typical error (RMSE)": f"{champion.test_rmse:.3f}",
            "predictions published": f"{published:,}" if published else "none",
        }),
    ])  # fmt: skip


def comparison(inputs: ReportInputs) -> str:
    models = words.ranked(inputs)
    errors = {model.name: model.test_mse for model in models}
    errors |= {words.baseline_name(name): mse for name, mse in inputs.baselines.items()}
    rows = [
        (
            markup.link(model.name, model.run_url), f"{model.test_mse:.4f}", f"{model.test_rmse:.4f}",
            f"{model.test_mae:.4f}", f"{model.train_seconds:.1f} s",
        )
        for model in models
    ]  # fmt: skip
    rows += [
        (escape(words.baseline_name(name)), f"{mse:.4f}", f"{mse**0.5:.4f}", "", "")
        for name, mse in inputs.baselines.items()
    ]
    return "".join([
        "<h2>Which model is better</h2>",
        markup.paragraph(
            f"All are evaluated on the same {inputs.data.n_test:,} ratings, kept away from training. What needs "
            f"no model at all is measured beside them: a model that does not beat it is not worth running."
        ),
        markup.figure("headline", "Test error of every model and baseline",
                      lambda shape: charts.draw_headline(errors, inputs.champion, shape)),
        markup.table(
            ("", "MSE", "RMSE", "MAE", "training"), rows, optional=(4,), marked=markup.link(
                inputs.champion, words.champion_of(inputs).run_url)
        ),
    ])  # fmt: skip


def learning(inputs: ReportInputs) -> str:
    histories = {model.name: (model.loss, model.val_loss) for model in words.ranked(inputs)}
    return "".join(
        [
            "<h2>How they learned</h2>",
            markup.paragraph(words.about_learning(inputs)),
            markup.figure("loss", "Loss and val_loss per epoch", lambda shape: charts.draw_loss(histories, shape)),
        ]
    )


def trust(inputs: ReportInputs, summary: EvaluationSummary) -> str:
    return "".join([
        "<h2>Are the predictions calibrated</h2>",
        markup.paragraph(words.about_calibration(inputs, summary)),
        markup.figure("calibration", "Mean rating against mean prediction, by tenths",
                      lambda shape: charts.draw_calibration(summary.calibration, shape)),
        markup.paragraph(words.about_distribution(inputs)),
        markup.figure("distribution", "Shares of ratings and predictions",
                      lambda shape: charts.draw_distribution(summary.histogram, shape)),
    ])  # fmt: skip


def mistakes(inputs: ReportInputs, summary: EvaluationSummary) -> str:
    champion = words.champion_of(inputs)
    items = item_errors(inputs.test.item_index, inputs.test.rating, champion.test_prediction, inputs.item_titles)
    return "".join([
        "<h2>Where the errors are</h2>",
        markup.paragraph(words.about_activity(inputs, summary)),
        markup.figure("activity", "Error by user activity",
                      lambda shape: charts.draw_error_by_activity(summary.by_activity, shape)),
        markup.paragraph(words.about_popularity(inputs, summary)),
        markup.figure("popularity", "Error by item popularity",
                      lambda shape: charts.draw_error_by_popularity(summary.by_popularity, shape)),
        "<h3>Items it predicts best</h3>", _item_table(items[:10]),
        "<h3>Items it predicts worst</h3>", _item_table(items[10:][-10:][::-1]),
        markup.paragraph(
            f"By the typical error of {champion.name}, among {len(items):,} items with enough test ratings.",
            "quiet",
        ),
        "<h3>Map of the items</h3>",
        markup.paragraph(
            "Items that the same people like lie together. The model has only "
            "seen ratings."
        ),
        markup.figure("map", "Map of the items by their factors",
                      lambda shape: charts.draw_item_map(champion, inputs.test, inputs.item_titles, shape)),
    ])  # fmt: skip


def _item_table(items: list[ItemError]) -> str:
    rows = [
        (escape(item.title), f"{item.n_rows:,}", f"{item.rating:.2f}", f"{item.prediction:.2f}", f"{item.rmse:.2f}")
        for item in items
    ]
    return markup.table(("", "test ratings", "rated", "predicted", "RMSE"), rows, optional=(1,))


def data(inputs: ReportInputs) -> str:
    summary = inputs.data
    parts = {"train": summary.n_train, "validation": summary.n_validation, "test": summary.n_test}
    rows = [(escape(reason), f"{count:,}") for reason, count in summary.quarantined.items() if count]
    return "".join([
        "<h2>What it learned from</h2>",
        markup.facts({
            "data": summary.name,
            "read from": summary.source,
            "ratings": f"{summary.n_ratings:,} by {summary.n_users:,} users of {summary.n_items:,} items",
            "parts": ", ".join(f"{count:,} {name}" for name, count in parts.items() if count),
            "fingerprint": summary.fingerprint,
        }),
        "<h3>Quality of the data</h3>",
        markup.paragraph(words.about_quality(inputs)),
        markup.table(("reason", "rows"), rows) if rows else "",
    ])  # fmt: skip


def published(inputs: ReportInputs) -> str:
    if inputs.table is None:
        return "<h2>What is published</h2>" + markup.paragraph("Nothing; the previous version remains current.")
    rows = [(escape(name), f"{count:,}") for name, count in inputs.table.rows.items()]
    champion, user = inputs.table.champion_path, inputs.table.first_user
    best_unseen = queries.duckdb_query(champion, user, unseen_only=True)
    return "".join([
        "<h2>What is published, and how to query it</h2>",
        markup.paragraph(
            f"Version {inputs.table.version}: one row for every pair of a known user and a known item, columns "
            f"user_id, item_id, prediction and rated. The folder champion holds {inputs.champion}."
        ),
        markup.table(("model", "predictions"), rows, marked=escape(inputs.champion)),
        markup.code_block(f"-- DuckDB: the ten best unseen items of a user\n{best_unseen}"),
        markup.code_block(f"# pandas: all predictions of a user\n{queries.pandas_query(champion, user)}"),
        markup.code_block(f"# in a terminal: with titles\n{queries.top_command(user, inputs.table.path)}"),
    ])  # fmt: skip


def repetition(inputs: ReportInputs) -> str:
    runs = {f"MLflow run of {model.name}": model.run_id for model in inputs.models if model.run_id}
    version = {"recobatch": inputs.code_version} if inputs.code_version else {}
    settings = markup.facts(inputs.settings) if inputs.settings else ""
    return "".join(
        [
            "<h2>How to repeat it</h2>",
            markup.paragraph(
                "The same ratings, settings and seed give the same predictions, bit for bit, on one machine."
            ),
            markup.code_block(inputs.command),
            markup.facts({**version, **runs}),
            f"<details><summary>All {len(inputs.settings)} settings</summary>{settings}</details>" if settings else "",
        ]
    )
