"""What a command that failed prints, and its exit code."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from flows.cli.output import echo, echo_json
from flows.cli.signals import signal_behind
from recobatch.errors import RecobatchError


class FailedCheck(RecobatchError):
    """A check that found something wrong; ``--json`` prints its findings together with the error."""

    def __init__(self, cause: RecobatchError, findings: Mapping[str, Any]) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.findings = findings


def run_command(command: Callable[[], Any], *, as_json: bool) -> int:
    """Run a command; one line on stderr for whatever goes wrong on purpose.

    Args:
        command: Returns an exit code, or anything else for 0.
        as_json: Whether a failure is an object on stdout, too.

    Returns:
        The exit code. An error that nobody foresaw is raised, which ends the process with its traceback and code 1.
    """
    try:
        code = command()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        return _fail(_usage(error), error.exit_code, "usage", as_json=as_json)
    except BaseException as error:
        if stopped := signal_behind(error):
            how, number = stopped
            said = f"{how}; nothing half-done was published, run again to go on"
            return _fail(said, number, how, as_json=as_json)
        if isinstance(error, FailedCheck):
            cause = error.cause
            return _fail(str(cause), cause.exit_code, cause.kind, as_json=as_json, findings=error.findings)
        if isinstance(error, RecobatchError):
            return _fail(str(error), error.exit_code, error.kind, as_json=as_json)
        if as_json and not isinstance(error, SystemExit):
            echo_json(_failure(f"{type(error).__name__}: {error}", 1, "unexpected"))
        raise
    return code if isinstance(code, int) else 0


def _fail(
    message: str, exit_code: int, kind: str, *, as_json: bool, findings: Mapping[str, Any] | None = None
) -> int:  # fmt: skip
    echo(f"recobatch: {message}", err=True)
    if as_json:
        echo_json({**(findings or {}), **_failure(message, exit_code, kind)})
    return exit_code


def _failure(message: str, exit_code: int, kind: str) -> dict[str, Any]:
    return {"error": message, "exit_code": exit_code, "kind": kind}


def _usage(error: click.ClickException) -> str:
    """Wrong usage in one line, and where the right one is shown."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    said = " ".join(error.format_message().split()).removesuffix(".")
    return f"{said}; see {context.command_path if context else 'recobatch'} --help"
