"""Options that commands share, and their values as settings."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from flows.settings.tree import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _all_of(*decorators: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    def apply(command: _Command) -> _Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return apply


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line of stdout.")
table_option = click.option(
    "--table", metavar="DIR", help="Folder or URI of the published table.  [default: predictions]"
)
set_option = click.option(
    "--set", "assignments", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting; may be repeated."
)
force_option = click.option("--force", is_flag=True, help="Publish even if nothing changed since what is published.")
preset_option = click.option("--preset", type=click.Choice(["best", "notebook", "tuned"]), help="Recipe to start from.")
job_options = _all_of(
    preset_option,
    set_option,
    table_option,
    click.option(
        "--engine", type=click.Choice(["threads", "dask"]), help="Who scores shards: threads, or Dask's workers."
    ),
    json_option,
)
ratings_options = _all_of(
    click.argument("ratings", required=False),
    click.option("--user-column", metavar="NAME", help="Column of user ids: a name, or a position from 0."),
    click.option("--item-column", metavar="NAME", help="Column of item ids."),
    click.option("--rating-column", metavar="NAME", help="Column of ratings."),
    click.option("--time-column", metavar="NAME", help="Column of timestamps."),
    click.option("--delimiter", metavar="CHAR", help="Field delimiter of a text file."),
    click.option("--users", metavar="FILE", help="Side table of the users; by default one beside the ratings."),
    click.option("--items", metavar="FILE", help="Side table of the items, likewise."),
    click.option("--fresh", is_flag=True, help="Redo every stage, reuse nothing."),
)


def load_given(ratings: str | None, options: dict[str, Any]) -> "Settings":
    """The settings, those of the command line included.

    Raises:
        BadSettings: As ``load_settings``.
    """
    from flows.settings.load import load_settings

    return load_settings(*given_settings(ratings, options))


def given_settings(ratings: str | None, options: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The options as a tree of settings, and the texts of ``--set``."""
    options = dict(options)
    data = {
        "ratings": ratings,
        **{name: options.pop(name, None) for name in ("user_column", "item_column", "rating_column", "time_column")},
        **{name: options.pop(name, None) for name in ("delimiter", "users", "items")},
    }
    assignments = options.pop("assignments", ())
    table = {"path": options.pop("table", None)}
    return _without_none({**options, "data": data, "table": table}), assignments


def _without_none(tree: dict[str, Any]) -> dict[str, Any]:
    pruned = {key: _without_none(value) if isinstance(value, dict) else value for key, value in tree.items()}
    return {key: value for key, value in pruned.items() if value is not None and value != {}}
