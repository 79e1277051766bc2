"""The kinds of failure a caller can act on.

Each with the exit code of the command line::

    RecobatchError            1   something went wrong
    ├── BadInput              2   what was given cannot be used: say what, where, and the way out
    │   ├── BadRatings            the ratings file
    │   │   └── RatingsUnreachable    it could not be fetched just now: another attempt may do
    │   ├── BadSettings           a setting or a command-line value
    │   ├── BadTable              a table folder that is not ours, or is damaged
    │   └── DatasetUnavailable    a named dataset that cannot be had here
    ├── GateRefused           3   nothing was published; the old table stands
    └── TableBusy             4   another run holds the table
"""

from typing import ClassVar


class RecobatchError(Exception):
    """Base of every error raised on purpose; its message is one line a person can act on."""

    exit_code: ClassVar[int] = 1


class BadInput(RecobatchError):
    """The caller gave something that cannot be used."""

    exit_code: ClassVar[int] = 2


class BadRatings(BadInput):
    """The ratings cannot be read, or too few of them are sound."""


class RatingsUnreachable(BadRatings):
    """The ratings lie elsewhere and could not be fetched; unlike its kin it may be gone in a moment."""


class BadSettings(BadInput):
    """A setting is unknown or out of range."""


class BadTable(BadInput):
    """A table, snapshot, model or factors file is missing, damaged, or not ours."""


class DatasetUnavailable(BadInput):
    """A named dataset is neither cached nor to be fetched, or its digest is wrong."""


class GateRefused(RecobatchError):
    """The quality gate refused to publish; the table that stood before still stands."""

    exit_code: ClassVar[int] = 3


class TableBusy(RecobatchError):
    """Another run holds the table."""

    exit_code: ClassVar[int] = 4
