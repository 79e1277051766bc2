"""Options of ``recobatch evaluate``, and its output."""

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from recobatch.errors import BadSettings

if TYPE_CHECKING:
    from recobatch.evaluation.folds import FoldOptions

_DAYS = {"h": 1 / 24, "d": 1, "w": 7, "y": 365}


def fold_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how the ratings are divided."""
    for option in (
        click.option(
            "--horizon", metavar="LENGTH", help="Length of a window: 30d, 12h, 4w.  [default: as many ratings each]"
        ),
        click.option("--folds", metavar="K", type=click.IntRange(min=2), help="K folds: each rating is a test once."),
        click.option("--repeats", metavar="N", type=click.IntRange(min=1), help="N random splits by user."),
        click.option(
            "--windows", metavar="N", type=click.IntRange(min=1),
            help="N windows of time, each tested after training on all before it.  [default: 5 where times are known]",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def read_folds(windows: int | None, repeats: int | None, folds: int | None, horizon: str | None) -> "FoldOptions":
    """The options of the folds.

    Raises:
        BadSettings: If two methods are named, or the horizon is no length.
    """
    from recobatch.evaluation.folds import FoldOptions  # lazy: NumPy

    given = {"windows": windows, "repeats": repeats, "folds": folds}
    named = {method: number for method, number in given.items() if number is not None}
    if len(named) > 1:
        shown = " and ".join(f"--{method}" for method in named)
        raise BadSettings(f"evaluate: found {shown}, expected one of them; leave out the others")
    if horizon is not None and ("repeats" in named or "folds" in named):
        raise BadSettings(
            f"evaluate: found --horizon with --{next(iter(named))}, expected it with --windows; leave one of them out"
        )
    if horizon is not None:
        named = named or {"windows": FoldOptions().number}
    days = None if horizon is None else _days(horizon)
    if not named:
        return FoldOptions()
    method, number = next(iter(named.items()))
    return FoldOptions.model_validate({"method": method, "number": number, "horizon_days": days})


def _days(horizon: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdwy])", horizon.strip())
    if found is None or not float(found[1]):
        raise BadSettings(f"--horizon: found {horizon!r}, expected a number and h, d, w or y, as in 30d; correct it")
    return float(found[1]) * _DAYS[found[2]]


def print_result(result: dict[str, Any]) -> None:
    """The tables of the terminal."""
    from flows.results.evaluation import EvaluationResult, print_evaluation

    print_evaluation(EvaluationResult.from_dict(result), sys.stdout)
