"""What an object store refuses, in one clear line."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from recobatch.errors import BadTable, RecobatchError


class PreconditionFailed(Exception):
    """A conditional write came too late: the object is no longer what it had to be."""


@contextmanager
def store_explained(uri: str, action: str) -> Iterator[None]:
    """Turn an error of an object store into one line: found, expected, where, hint.

    Args:
        uri: Of the prefix.
        action: What was being done, as in "read current.json".

    Raises:
        BadTable: If there is no such bucket or object, or if the store lacks conditional writes or the right.
        RecobatchError: In place of any other error of the store.
    """
    try:
        yield
    except (PreconditionFailed, RecobatchError):
        raise
    except Exception as error:  # obstore's own kinds, and built-in ones
        reason = reason_of(error)
        if "NoSuchBucket" in str(error) or "ContainerNotFound" in str(error):
            raise BadTable(
                f"{uri}: found no such bucket ({reason}), expected one that exists; make it, or pass another --table"
            ) from error
        if isinstance(error, FileNotFoundError):
            raise BadTable(
                f"{uri}: found no such object while trying to {action}, expected one as it was published; "
                f"see recobatch verify, then recobatch rollback"
            ) from error
        if "NotImplemented" in str(error):
            raise BadTable(
                f"{uri}: found that the object store cannot {action} ({reason}), expected one with "
                f"conditional writes (If-None-Match, If-Match); use another store, or a folder"
            ) from error
        if type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
            raise BadTable(
                f"{uri}: found that the object store does not permit to {action} ({reason}), expected "
                f"credentials with that right; check key, secret and policy in the environment"
            ) from error
        raise RecobatchError(
            f"{uri}: found that the object store did not {action} ({reason}), expected one that answers and "
            f"permits it; check address, credentials and permissions, then run again"
        ) from error


def reason_of(error: Exception) -> str:
    """The store's message, without the XML and Rust around it."""
    text = str(error)
    message = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
    short = message[1] if message else text.strip().partition("\n")[0]
    return " ".join(short.split())[:200] or type(error).__name__
