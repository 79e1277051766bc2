"""Exceptions, with the exit code of the command line for each.

A message is one line: found, expected, where, hint::

    RecobatchError            1   any other failure
    ├── BadInput              2   invalid input or usage
    │   ├── BadRatings            the ratings file
    │   │   ├── RatingsNotFound       no file at the path
    │   │   ├── NoRatings             a file without a rating
    │   │   └── RatingsUnreachable    a failed download, which may be retried
    │   ├── BadSettings           a setting or a command-line value
    │   ├── BadTable              a table folder that is foreign or damaged
    │   └── DatasetUnavailable    a named dataset that cannot be fetched
    ├── TrainingDiverged      1   a loss that is not finite
    ├── GateRefused           3   the gate refused to publish; the old table stands
    └── TableBusy             4   another run holds the table
"""

from typing import ClassVar


class RecobatchError(Exception):
    """Base class of the package's exceptions. The message is one line: found, expected, where, hint."""

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "failed"
    """What went wrong, for programs: ``failed``, ``bad input``, ``refused`` or ``busy``."""


class BadInput(RecobatchError):
    """The input cannot be used."""

    exit_code: ClassVar[int] = 2
    kind: ClassVar[str] = "bad input"


class BadRatings(BadInput):
    """The ratings cannot be read, or too few of them are valid."""


class RatingsNotFound(BadRatings):
    """No file exists at the path, as opposed to one that cannot be read."""


class NoRatings(BadRatings):
    """The file is empty, or has columns and no rows; among others it is passed over."""


class RatingsUnreachable(BadRatings):
    """The ratings could not be downloaded. Possibly transient: a retry may succeed."""


class BadSettings(BadInput):
    """A setting is unknown or out of range."""


class BadTable(BadInput):
    """A table, snapshot, model or factors file is missing, damaged or foreign."""


class DatasetUnavailable(BadInput):
    """A named dataset is not cached and cannot be fetched, or its digest is wrong."""


class TrainingDiverged(RecobatchError):
    """The loss of a training is not finite: the model cannot be used, others may be."""


class GateRefused(RecobatchError):
    """The quality gate refused to publish; the published table is unchanged."""

    exit_code: ClassVar[int] = 3
    kind: ClassVar[str] = "refused"


class TableBusy(RecobatchError):
    """Another run holds the table."""

    exit_code: ClassVar[int] = 4
    kind: ClassVar[str] = "busy"
