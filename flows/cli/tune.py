"""The command ``tune``."""

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flows.cli.output import echo_json
from recobatch.errors import BadSettings

if TYPE_CHECKING:
    from flows.settings.tree import Settings


def tune_models(
    settings: "Settings", models: Sequence[str], *, budget: str, study: str | None, apply: bool, fresh: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Search for better settings and print them.

    Raises:
        BadSettings: If a model is unknown, a budget is none, or one study is named for several models.
        RecobatchError: As the flow raised it.
    """
    from flows.cli.launch import launch  # lazy: --help needs none of them
    from flows.tasks.tune import tuned_models
    from recobatch.tuning import Budget

    Budget.parse(budget)
    names = tuned_models(settings, models)
    if study is not None:
        _check_study(study, names)
    launch(
        "tune-models", settings, as_json=as_json, show=_print, models=names, budget=budget, study=study, apply=apply,
        fresh=fresh,
    )  # fmt: skip


def _check_study(study: str, models: Sequence[str]) -> None:
    if len(models) > 1:
        raise BadSettings(
            f"--study: found {study!r} for {len(models)} models, expected a study of one model; name it with --model"
        )
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,127}", study):
        raise BadSettings(
            f"--study: found {study[:140]!r}, expected letters, digits and _.- after a letter or digit, because it "
            f"names a folder; choose another name"
        )


def _print(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        echo_json(result)
        return
    from flows.results.search import print_search

    print_search(result, sys.stdout)
