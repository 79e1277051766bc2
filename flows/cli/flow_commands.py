"""Commands that run a flow, or serve it on a schedule."""

from typing import Any

import click

from flows.cli.evaluate import fold_options, read_folds
from flows.cli.options import (
    force_option,
    given_settings,
    job_options,
    json_option,
    load_given,
    preset_option,
    ratings_options,
    set_option,
)


@click.command()
@ratings_options
@job_options
@force_option
def run(ratings: str | None, force: bool, fresh: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """The whole job: ingest, train, compare, score, publish."""
    from flows.cli.start import run_flow

    run_flow("batch-scoring", ratings, options, as_json=as_json, fresh=fresh, force=force)


@click.command()
@ratings_options
@job_options
@click.option("--no-register", is_flag=True, help="Track the models in MLflow, and leave the registry as it is.")
def train(ratings: str | None, fresh: bool, as_json: bool, no_register: bool, **options: Any) -> None:  # noqa: ANN401
    """Ingest to registered models; nothing is scored.

    The champion gets the alias of the registry, from which `recobatch score` starts, if it beats the champion there on
    the same test ratings, and the gates.
    """
    from flows.cli.start import run_flow

    run_flow("train-models", ratings, options, as_json=as_json, fresh=fresh, no_register=no_register)


@click.command()
@ratings_options
@job_options
@force_option
def score(ratings: str | None, force: bool, fresh: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Score every pair with the registered champion and publish.

    Ratings that are new since it was trained are counted, and marked as rated in the table. RATINGS are by default the
    champion's own, as they are now.
    """
    from flows.cli.start import run_flow

    run_flow("score-pairs", ratings, options, as_json=as_json, fresh=fresh, force=force)


@click.command()
@ratings_options
@fold_options
@job_options
def evaluate(
    ratings: str | None, windows: int | None, repeats: int | None, folds: int | None, horizon: str | None, fresh: bool,
    as_json: bool, **options: Any,  # noqa: ANN401
) -> None:  # fmt: skip
    """Measure every model on several folds of the ratings.

    Errors, lists and intervals, beside the baselines and with paired tests. Nothing is registered or published.
    """
    from flows.cli.launch import launch

    divided = read_folds(windows, repeats, folds, horizon)
    launch("evaluate-models", load_given(ratings, options), as_json=as_json, fresh=fresh, folds=divided)


@click.command()
@ratings_options
@click.option(
    "--model", "models", multiple=True, metavar="NAME", help="Model to tune; may be repeated.  [default: all]"
)
@click.option(
    "--budget", default="60s", show_default=True, metavar="TEXT",
    help='For each model: a duration such as 60s or 10m, or a number of trials such as "200 trials".',
)  # fmt: skip
@click.option("--study", metavar="NAME", help="Name by which the search is resumed; for one model.")
@click.option("--apply", is_flag=True, help="Write the settings that were found into recobatch.toml.")
@preset_option
@set_option
@json_option
def tune(
    ratings: str | None,
    models: tuple[str, ...],
    budget: str,
    study: str | None,
    apply: bool,
    fresh: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Search for better settings of models.

    Trials are compared on ratings held out from the training part; the test part is not used. A second run with the
    same inputs continues the search.
    """
    from flows.cli.tune import tune_models

    tune_models(
        load_given(ratings, options), models, budget=budget, study=study, apply=apply, fresh=fresh, as_json=as_json
    )


@click.command()
@click.option("--cron", metavar="EXPR", help='Schedule, as in "0 3 * * *"; without it, runs start from the Prefect UI.')
@click.option("--timezone", default="UTC", show_default=True, help="Time zone of the schedule.")
@ratings_options
@job_options
def serve(
    cron: str | None,
    timezone: str,
    ratings: str | None,
    fresh: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401
) -> None:
    """Serve the job to Prefect on a schedule.

    It runs in the foreground, until Ctrl-C.
    """
    from flows.cli.serve import serve_batches
    from flows.settings.load import load_settings, settings_given

    given, assignments = given_settings(ratings, options)
    load_settings(given, assignments)  # an invalid setting is reported now, not when the first run starts
    serve_batches(settings_given(given, assignments), cron=cron, timezone=timezone)
